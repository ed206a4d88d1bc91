"""An SMTP server in a process of its own, which accepts every mail and keeps none."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, cast

_RESPONSES: Final = {b"DATA": b"354 go ahead\r\n", b"QUIT": b"221 bye\r\n"}
_END: Final = b"\r\n.\r\n"


class _Connection(asyncio.Protocol):
    mails = 0

    def __init__(self) -> None:
        self._buffer = b""
        self._in_content = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while self._take_one():
            pass

    def _take_one(self) -> bool:
        """Respond to a command or a mail, if all of it is there."""
        taken, end, rest = self._buffer.partition(_END if self._in_content else b"\r\n")
        if not end:
            return False
        self._buffer = rest
        response = b"250 OK\r\n"
        if self._in_content:
            _Connection.mails += 1
            self._in_content = False
        else:
            command = taken[:4].upper()
            response = _RESPONSES.get(command, response)
            self._in_content = command == b"DATA"
        self._transport.write(response)
        return True


@contextmanager
def smtp_sink() -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """Serve on a free local port; yield it and the process, which prints the number of mails when its input ends."""
    command = [sys.executable, "-m", "benchmarks.bench.smtp_sink"]
    with subprocess.Popen(  # noqa: S603 - our own program
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield int(process.stdout.readline() if process.stdout else ""), process
        finally:
            process.kill()


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Connection, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    print(_Connection.mails, flush=True)


if __name__ == "__main__":
    asyncio.run(_serve())
