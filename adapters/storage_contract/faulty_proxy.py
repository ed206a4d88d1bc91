"""A proxy that fails like networks, or like another service at the same address."""

import asyncio
import socket
import struct
import threading
from contextlib import suppress
from enum import Enum
from typing import Final, Self, TypeAlias

Endpoint: TypeAlias = tuple[str, int]

_CHUNK_BYTES: Final = 65_536
_GREETING_SECONDS: Final = 1  # how long another service waits for the client to speak first
_HTTP: Final = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n%b"


class Fault(Enum):
    """What a client encounters when it connects or uses an open connection."""

    RESET = "resets the connection"
    CLOSE = "closes the connection"
    CUT = "closes the connection in the middle of the server's answer"
    SILENCE = "never answers"
    HTML = "answers with a web page"
    JSON = "answers in HTTP with another service's JSON"
    ZEROS = "answers zeros"
    GARBAGE = "answers garbage"


_ANSWERS: Final = {
    Fault.SILENCE: b"",
    Fault.HTML: _HTTP % (b"text/html", 13, b"<p>Hello.</p>"),
    Fault.JSON: _HTTP % (b"application/json", 2, b"[]"),
    Fault.ZEROS: bytes(64),
    Fault.GARBAGE: bytes(reversed(range(256))),
}


class FaultyProxy:
    """A TCP proxy on a local port, which forwards to a server while there is no `fault`.

    Runs in its own thread, so that a connection can break at any point of its client. A connection that had a fault
    never works again.
    """

    def __init__(self, server: Endpoint | None = None, fault: Fault | None = None) -> None:
        """`server` is required for `Fault.CUT` and for forwarding."""
        self.fault = fault
        self._server: Final = server
        self._listener: Final = socket.create_server(("127.0.0.1", 0))
        self._loop: Final = asyncio.new_event_loop()
        self._closing: Final = asyncio.Event()
        self._connections: Final[list[socket.socket]] = []
        self._tasks: Final[list[asyncio.Task[None]]] = []
        self._thread: Final = threading.Thread(target=self._run, name="faulty-proxy")

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._listen())

    async def _listen(self) -> None:
        # An `asyncio.Server` that is closed leaves the sockets open that it has accepted but not yet handed over.
        self._listener.setblocking(False)
        self._loop.add_reader(self._listener, self._accept)
        await self._closing.wait()
        self._loop.remove_reader(self._listener)
        self._listener.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)  # aborted transports close their sockets
        for connection in self._connections:
            connection.close()

    def _accept(self) -> None:
        with suppress(BlockingIOError, ConnectionAbortedError):
            connection, _ = self._listener.accept()
            connection.setblocking(False)
            self._connections.append(connection)
            self._tasks.append(self._loop.create_task(self._serve(connection)))

    async def _serve(self, connection: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=connection)
        try:
            with suppress(OSError):
                if self.fault in {None, Fault.CUT}:
                    await self._forward(reader, writer)
                else:
                    await self._fail(reader, writer)
            writer.close()
            await self._closing.wait()  # pending output is sent
        finally:
            writer.transport.abort()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert self._server
        server_reader, server_writer = await asyncio.open_connection(*self._server)
        answering = asyncio.create_task(self._forward_responses(server_reader, writer))
        try:
            while question := await reader.read(_CHUNK_BYTES):
                if self.fault not in {None, Fault.CUT}:
                    answering.cancel()
                    return await self._fail(reader, writer)
                server_writer.write(question)
        finally:
            answering.cancel()
            server_writer.transport.abort()

    async def _forward_responses(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while answer := await reader.read(_CHUNK_BYTES):
                if self.fault is Fault.CUT:
                    writer.write(answer[: len(answer) // 2])
                    break
                writer.write(answer)
            writer.close()

    async def _fail(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        fault = self.fault
        if fault is Fault.RESET:
            at_once = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
            writer.transport.abort()
        if fault not in _ANSWERS:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(_GREETING_SECONDS):
                await reader.read(_CHUNK_BYTES)
        writer.write(_ANSWERS[fault])
        while fault not in {Fault.HTML, Fault.JSON} and await reader.read(_CHUNK_BYTES):
            writer.write(_ANSWERS[fault])
