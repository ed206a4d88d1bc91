"""A server process in a temporary directory, listening on the loopback interface only."""

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import ClassVar, Final, Self
from urllib.parse import quote

from tests.servers.link import Link

TIMEOUT_SECONDS: Final = 60.0
_SERVER_PORTS: Final = range(10_000, 32_768)


class Unreachable(Exception):
    """The server did not accept the connection or the command."""


class ServerProcess(ABC):
    """A server that runs while it is entered. Tests that stop, kill or pause one create their own."""

    scheme: ClassVar[str]
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    def __init__(self, programs: Path) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="userport-server-"))
        self.programs = self._usable(programs)
        self.port = free_port()
        # Characters with a meaning in URLs, so that every test also checks how the adapter parses them.
        self.password = f"p@:/?#%{secrets.token_hex(8)}"
        self.link: Link | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def peer_port(self) -> int:
        """The port that other servers and clients use: that of its link, where it has one."""
        return self.link.port if self.link else self.port

    @abstractmethod
    def initialize(self) -> None:
        """Create the data directory."""

    @abstractmethod
    def command(self) -> Sequence[str | Path]:
        """Return the command line of the server, to run in the foreground."""

    @property
    @abstractmethod
    def url(self) -> str:
        """The URL of the server, for a user who may create databases on it."""

    @abstractmethod
    def check(self) -> None:
        """Raise `Unreachable` unless the server responds."""

    def url_of(self, database: str) -> str:
        return f"{self.scheme}://userport:{quote(self.password, safe='')}@127.0.0.1:{self.port}/{database}"

    def __enter__(self) -> Self:
        try:
            hand_over(self.directory)
            self.initialize()
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.directory)

    def start(self) -> None:
        """Start, and wait until the server responds."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - the programs are found by us
                [*as_another_user(), *self._bound_to_us(), *self.command()],
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while True:
            try:
                return self.check()
            except Unreachable:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"the server does not start:\n{self._log.read_text()[-4000:]}") from None
                time.sleep(0.05)

    def stop(self) -> None:
        """Shut the server down."""
        if self._process is not None:
            if self._process.poll() is None:
                self.resume()
                self._process.send_signal(self.stop_signal)
            try:
                self._process.wait(timeout=TIMEOUT_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()
            self._process = None

    def kill(self) -> None:
        """Kill every process of the server at once, like a crash of its machine."""
        if self._process is not None:
            kill_family(self._process.pid)
            self._process.wait()
            self._process = None

    @property
    def is_running(self) -> bool:
        """Return whether it was neither stopped nor killed; one that is paused runs, too."""
        return self._process is not None

    def pause(self) -> None:
        """Stop all processes: the kernel still accepts connections, but the server never responds."""
        if self._process is not None:
            _stop_family(self._process.pid)

    def resume(self) -> None:
        if self._process is not None:
            _signal([self._process.pid, *children(self._process.pid)], signal.SIGCONT)

    def cut_off(self) -> None:
        """Let nothing reach the server until it is reconnected."""
        assert self.link is not None
        self.link.cut()

    def reconnect(self) -> None:
        if self.link is not None:
            self.link.restore()

    @property
    def _log(self) -> Path:
        return self.directory / "log"

    def run(self, *command: str | Path) -> None:
        """Run one of the server's tools as the server's user."""
        done = subprocess.run(  # noqa: S603 - the programs are found by us
            [*as_another_user(), *command], cwd=self.directory, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise RuntimeError(f"{command[0]} failed:\n{done.stdout}{done.stderr}")

    def _bound_to_us(self) -> list[str]:
        """Return the prefix of a command that makes Linux end the server when the tests are killed."""
        return ["setpriv", f"--pdeathsig={self.stop_signal.name}"] if shutil.which("setpriv") else []

    def _usable(self, programs: Path) -> Path:
        """Copy programs from directories that only root may read."""
        probe = [*as_another_user(), "test", "-x", str(next(programs.iterdir()))]
        if subprocess.run(probe, check=False).returncode == 0:  # noqa: S603
            return programs
        shutil.copytree(programs.parent, self.directory / "installation", symlinks=True)
        return self.directory / "installation" / programs.name


def add_links(servers: Iterable[ServerProcess], ends: ExitStack) -> None:
    """Put a link in front of each server, before it starts."""
    for server in servers:
        server.link = ends.enter_context(Link(server.port))


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.05)


def free_port() -> int:
    """Return an unused port, below the range that the kernel assigns to clients."""
    while True:
        port = secrets.choice(_SERVER_PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def as_another_user() -> list[str]:
    """Return the prefix of a command that drops root, which database servers reject."""
    if os.geteuid() != 0:
        return []
    nobody = pwd.getpwnam("nobody")
    return ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]


def hand_over(path: Path) -> None:
    """Make the server's user the owner of a file or directory."""
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(path, nobody.pw_uid, nobody.pw_gid)


def children(pid: int) -> list[int]:
    found = subprocess.run(  # noqa: S603
        ["pgrep", "-P", str(pid)],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    )
    return [int(child) for child in found.stdout.split()]


def kill_family(parent: int) -> None:
    """Kill a process and its children at once.

    Children that outlive their parent would still answer: those of PostgreSQL show commits that no standby has.
    """
    family = _stop_family(parent)
    _signal(family, signal.SIGKILL)
    while not all(map(_has_ended, family)):
        time.sleep(0.001)


def _stop_family(parent: int) -> Sequence[int]:
    """Stop a process and its children, and return them."""
    family: list[int] = []
    while (found := [parent, *children(parent)]) != family:  # it may have started a child before it stopped
        family = found
        _signal(family, signal.SIGSTOP)
        while not all(map(_is_stopped, family)):  # a thread stops when it next leaves the kernel
            time.sleep(0.001)
    return family


def _signal(processes: Sequence[int], number: int) -> None:
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, number)


def _has_ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def _is_stopped(pid: int) -> bool:
    try:
        states = [stat.read_text().rpartition(")")[2].split()[0] for stat in Path(f"/proc/{pid}/task").glob("*/stat")]
    except (FileNotFoundError, ProcessLookupError):  # a thread or the process has just ended
        return not Path(f"/proc/{pid}").exists()
    return all(state in "TZ" for state in states)
