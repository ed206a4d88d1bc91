"""Run `userport serve` as a separate process."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import httpx
import pytest

from tests.cli.commands import PROGRAM, environment

unpooled: Final = httpx.Client(limits=httpx.Limits(max_keepalive_connections=0))
"""A client that connects for each request. `httpx.get` would also load all root certificates each time."""


@contextmanager
def serving(storage: str, *options: str, **variables: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Serve on a free port; yield the process and the address that it printed."""
    command = (*PROGRAM, "serve", "--port", "0", "--storage", storage, *options)
    with (
        TemporaryDirectory() as mail,
        subprocess.Popen(  # noqa: S603
            command,
            env=environment(**{"USERPORT_MAIL": f"file:{mail}", **variables}),
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        try:
            assert process.stderr is not None
            message = next(line for line in process.stderr if not line.startswith("Redis may lose"))
            assert ("token mode" if any("SIGNING_KEY" in name for name in variables) else "open mode") in message
            assert storage not in message
            yield process, message.split()[-1].removesuffix("/docs")
        finally:
            process.terminate()


def wait_until_ready(address: str, path: str = "/health/ready") -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with suppress(httpx.TransportError):
            if unpooled.get(f"{address}{path}").status_code == 200:
                return
        time.sleep(0.1)
    pytest.fail("the server does not become ready")


def workers(process: subprocess.Popen[str]) -> set[int]:
    """Return the ids of the worker processes of a server, on Linux."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return {int(child) for child in children if "spawn_main" in command_line(int(child))}


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except (FileNotFoundError, ProcessLookupError):  # it has ended since it was listed
        return ""
