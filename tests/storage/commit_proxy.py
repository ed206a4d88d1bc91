"""A proxy that reports errors for commits to clients of MariaDB."""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from tests.servers.mariadb import KIND

_COMMIT: Final = b"\x03COMMIT"
_ROLLBACK: Final = b"\x03ROLLBACK"
_BEGIN: Final = b"\x03BEGIN"
_AUTOCOMMIT_OFF: Final = b"\x03SET AUTOCOMMIT"  # it is on before
_INSERT: Final = b"\x03INSERT INTO"


@dataclass
class CommitProxy:
    """Answers the next `failures` commits with an error; `commits` tells whether the server makes them nevertheless.

    An insert in autocommit mode is a commit as well.
    """

    url: str
    code: int = 0
    failures: int = 0
    commits: bool = False
    seen: int = 0
    """How many commits have come by."""

    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection(*KIND.endpoint(self.url))
        fails = asyncio.Event()
        autocommits = True

        async def forward_command(sequence: int, payload: bytes) -> None:
            nonlocal autocommits
            if sequence == 0:
                if payload == _COMMIT or (autocommits and payload.startswith(_INSERT)):
                    self.seen += 1
                    if self.failures:
                        self.failures -= 1
                        fails.set()
                        payload = payload if self.commits else _ROLLBACK
                elif payload == _BEGIN or payload.startswith(_AUTOCOMMIT_OFF):
                    autocommits = False
            _write_packet(server_writer, sequence, payload)

        async def forward_response(sequence: int, payload: bytes) -> None:
            if fails.is_set():
                fails.clear()
                payload = b"\xff" + self.code.to_bytes(2, "little") + b"#HY000It failed"
            _write_packet(writer, sequence, payload)

        for forwarding in (
            _forward_packets(reader, server_writer, forward_command),
            _forward_packets(server_reader, writer, forward_response),
        ):
            task = asyncio.create_task(forwarding)
            self._tasks.add(task)

    async def close(self) -> None:
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def commit_proxy(url: str) -> AsyncIterator[tuple[CommitProxy, str]]:
    """Yield a proxy and the URL of the database behind it. All clients must have closed at the end."""
    proxy = CommitProxy(url)
    async with await asyncio.start_server(proxy.serve, "127.0.0.1", 0) as server:
        yield proxy, KIND.moved(url, server.sockets[0].getsockname()[1])
    await proxy.close()


async def _forward_packets(
    reader: StreamReader, writer: StreamWriter, forward: Callable[[int, bytes], Awaitable[None]]
) -> None:
    try:
        while True:
            head = await reader.readexactly(4)
            await forward(head[3], await reader.readexactly(int.from_bytes(head[:3], "little")))
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


def _write_packet(writer: StreamWriter, sequence: int, payload: bytes) -> None:
    writer.write(len(payload).to_bytes(3, "little") + bytes([sequence]) + payload)
