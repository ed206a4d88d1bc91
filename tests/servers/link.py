"""A TCP proxy in front of a server, which can be cut to simulate a network partition."""

import asyncio
import socket
import threading
from contextlib import suppress
from typing import Final, Self

_CHUNK_BYTES: Final = 65_536
_EVERYWHERE: Final = ""


class Link:
    """Forwards a local port to another one, in a thread of its own.

    While it is cut, for all clients or those at one address, it accepts connections but forwards nothing, in either
    direction. Data that was sent in the meantime arrives once it is restored, as if TCP sent it again.
    """

    def __init__(self, target_port: int) -> None:
        self._target_port: Final = target_port
        self._listener: Final = socket.create_server(("127.0.0.1", 0))
        self._loop: Final = asyncio.new_event_loop()
        self._gates: Final[dict[str, asyncio.Event]] = {}
        self._closing: Final = asyncio.Event()
        self._thread: Final = threading.Thread(target=self._run, name="link")

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

    def cut(self, source: str = _EVERYWHERE) -> None:
        self._loop.call_soon_threadsafe(self._gate(source).clear)

    def restore(self, source: str = _EVERYWHERE) -> None:
        self._loop.call_soon_threadsafe(self._gate(source).set)

    def _gate(self, source: str) -> asyncio.Event:
        """Return the event that is set while connections from an address are forwarded."""
        if source not in self._gates:
            gate = asyncio.Event()
            gate.set()
            self._gates.setdefault(source, gate)
        return self._gates[source]

    async def _wait_until_whole(self, source: str) -> None:
        for each in (_EVERYWHERE, source):
            await self._gate(each).wait()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._listen())

    async def _listen(self) -> None:
        server = await asyncio.start_server(self._serve, sock=self._listener)
        await self._closing.wait()
        server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.CancelledError):
            try:
                source: str = writer.get_extra_info("peername")[0]
                await self._wait_until_whole(source)
                target_reader, target_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
                try:
                    await self._forward_both(source, reader, writer, target_reader, target_writer)
                finally:
                    target_writer.transport.abort()
            finally:
                writer.transport.abort()

    async def _forward_both(
        self,
        source: str,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        target_reader: asyncio.StreamReader,
        target_writer: asyncio.StreamWriter,
    ) -> None:
        directions = (self._forward(source, reader, target_writer), self._forward(source, target_reader, writer))
        tasks = [asyncio.create_task(each) for each in directions]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()

    async def _forward(self, source: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while chunk := await reader.read(_CHUNK_BYTES):
                await self._wait_until_whole(source)
                writer.write(chunk)
                await writer.drain()
        await self._wait_until_whole(source)
