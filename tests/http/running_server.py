"""`userport serve` as a separate process, and raw connections to it."""

import os
import re
import resource
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

TIMEOUT_SECONDS: Final = 30.0
_LISTENS: Final = "0A"  # state code in Linux's table of connections
_ADDRESS: Final = re.compile(r"http://127\.0\.0\.1:(\d+)")


@dataclass(frozen=True)
class RunningServer:
    port: int
    process: subprocess.Popen[bytes]
    _log: Path
    client: str = "127.0.0.1"

    @property
    def memory(self) -> int:
        """The resident memory of the process in bytes."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * resource.getpagesize()

    @property
    def connections(self) -> int:
        """The number of open connections, without the listening socket."""
        links = Path(f"/proc/{self.process.pid}/fd").iterdir()
        inodes = {match[1] for link in links if (match := re.match(r"socket:\[(\d+)\]", _target(link)))}
        table = Path(f"/proc/{self.process.pid}/net/tcp").read_text().splitlines()[1:]
        rows = [line.split() for line in table]
        return sum(row[9] in inodes and row[3] != _LISTENS and _port_of(row[1]) == self.port for row in rows)

    def wait_for_connections(self, count: int) -> None:
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while self.connections != count:
            assert time.monotonic() < deadline, f"{self.connections} connections instead of {count}"
            time.sleep(0.05)

    @property
    def output(self) -> str:
        """Everything that the process has printed."""
        return self._log.read_text(errors="replace")

    @contextmanager
    def connection(self) -> Iterator[socket.socket]:
        with socket.create_connection(("127.0.0.1", self.port), TIMEOUT_SECONDS, (self.client, 0)) as connection:
            yield connection

    def exchange(self, *parts: bytes) -> bytes:
        """Send bytes and return everything received until the server closes the connection."""
        with self.connection() as connection:
            for part in parts:
                send(connection, part)
            return receive(connection)

    def send_and_leave(self, content: bytes, *, abruptly: bool) -> None:
        """Send bytes and close the connection; abruptly means by a reset."""
        with self.connection() as connection:
            send(connection, content)
            if abruptly:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except FileNotFoundError:  # closed since it was listed
        return ""


def _port_of(address: str) -> int:
    return int(address.rpartition(":")[2], 16)


def send(connection: socket.socket, content: bytes) -> None:
    """Send bytes until the server stops reading: it may respond before it has read everything."""
    try:
        connection.sendall(content)
    except (BrokenPipeError, ConnectionResetError):
        return


def receive(connection: socket.socket) -> bytes:
    """Receive everything until the other side closes."""
    received = b""
    try:
        while chunk := connection.recv(65_536):
            received += chunk
    except ConnectionResetError:
        pass
    return received


def statuses(received: bytes) -> list[int]:
    """Return the status of each response."""
    return [int(status) for status in re.findall(rb"(?:^|(?<=[\r\n}]))HTTP/1\.1 (\d{3})", received)]


@contextmanager
def serving(directory: Path, *, files: str | None = None, **settings: object) -> Iterator[RunningServer]:
    """Serve a memory store on a free port.

    `files` are the limits of open files as `prlimit` takes them, `soft:hard`. Settings are such as `head_timeout`.
    """
    log = directory / "log"
    command = [sys.executable, "-m", "entrypoints.cli", "serve", "--port", "0", "--storage", "memory://"]
    if files is not None:
        command = ["prlimit", f"--nofile={files}", *command]
    environment = {**os.environ, **{f"USERPORT_{name.upper()}": str(value) for name, value in settings.items()}}
    with (
        log.open("wb") as output,
        subprocess.Popen(command, stdout=output, stderr=output, env=environment) as process,  # noqa: S603
    ):
        try:
            yield RunningServer(_port(process, log), process, log)
        finally:
            process.terminate()


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if announced := _ADDRESS.search(log.read_text()):
            port = int(announced[1])
            if _answers(port):
                return port
        time.sleep(0.05)
    raise RuntimeError(f"the service does not start:\n{log.read_text()}")


def _answers(port: int) -> bool:
    request = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_SECONDS) as connection:
        connection.sendall(request)
        return 200 in statuses(receive(connection))
