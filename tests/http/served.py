"""`userport serve` as a process of its own, and bytes to and from it."""

import re
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PATIENCE: Final = 30.0
_ADDRESS: Final = re.compile(r"http://127\.0\.0\.1:(\d+)")


@dataclass(frozen=True)
class Served:
    port: int
    _log: Path

    @property
    def told(self) -> str:
        """All that the process has written."""
        return self._log.read_text(errors="replace")

    @contextmanager
    def connection(self) -> Iterator[socket.socket]:
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE) as connection:
            yield connection

    def exchange(self, *parts: bytes) -> bytes:
        """Send bytes and return everything that comes back before the server closes the connection."""
        with self.connection() as connection:
            for part in parts:
                send(connection, part)
            return receive(connection)

    def send_and_leave(self, content: bytes, *, abruptly: bool) -> None:
        """Send bytes and close the connection, without a goodbye if abruptly."""
        with self.connection() as connection:
            send(connection, content)
            if abruptly:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def send(connection: socket.socket, content: bytes) -> None:
    """Send bytes, for as long as somebody takes them: a server may have its answer ready before it has read all."""
    try:
        connection.sendall(content)
    except (BrokenPipeError, ConnectionResetError):
        return


def receive(connection: socket.socket) -> bytes:
    """Receive all there is until the other side closes."""
    received = b""
    try:
        while chunk := connection.recv(65_536):
            received += chunk
    except ConnectionResetError:
        pass
    return received


def statuses(received: bytes) -> list[int]:
    """Find the status of each answer."""
    return [int(status) for status in re.findall(rb"(?:^|(?<=[\r\n}]))HTTP/1\.1 (\d{3})", received)]


@contextmanager
def serving(directory: Path) -> Iterator[Served]:
    """Serve a store in memory on any free port."""
    log = directory / "log"
    command = [sys.executable, "-m", "entrypoints.cli", "serve", "--port", "0", "--storage", "memory://"]
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:  # noqa: S603
        try:
            yield Served(_port(process, log), log)
        finally:
            process.terminate()


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        if announced := _ADDRESS.search(log.read_text()):
            port = int(announced[1])
            if _answers(port):
                return port
        time.sleep(0.05)
    raise RuntimeError(f"the service does not start:\n{log.read_text()}")


def _answers(port: int) -> bool:
    request = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        connection.sendall(request)
        return 200 in statuses(receive(connection))
