"""The end of `userport serve` and `userport work`, and the reload of signing keys, with real signals."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Final

import httpx
import pytest

from adapters.security.signing_keys import SigningKeys
from tests.cli.commands import PROGRAM, environment, userport
from tests.cli.serving import serving, unpooled, wait_until_ready, workers
from tests.http.running_server import receive, send, statuses

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")]

PROCESSES: Final = [pytest.param((), id="one process"), pytest.param(("--workers", "2"), id="two workers")]
LIVE: Final = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
BODY: Final = b'{"email": "ann@example.org", "name": "Ann"}'
CREATE: Final = (
    b"POST /users HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    % len(BODY)
)


def _connect(address: str) -> socket.socket:
    return socket.create_connection(("127.0.0.1", httpx.URL(address).port or 0), 30)


def _respond(connection: socket.socket) -> bytes:
    """Send a request, and return its response; the connection may stay open."""
    send(connection, LIVE)
    received = b""
    while not received.endswith(b'{"status":"ok"}') and (more := connection.recv(10_000)):
        received += more
    return received


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("options", PROCESSES)
def test_a_server_that_drains_serves_but_is_not_ready_and_closes_connections(
    sqlite: str, options: tuple[str, ...]
) -> None:
    with serving(sqlite, *options, USERPORT_DRAIN_SECONDS="3", USERPORT_AUTH="open") as (process, address):
        wait_until_ready(address)
        with _connect(address) as open_before:
            assert b"connection: close" not in _respond(open_before)
            process.terminate()
            _wait_for(lambda: unpooled.get(f"{address}/health/ready").status_code == 503)
            time.sleep(0.5)  # of several processes, each looks for the signal ten times a second
            draining = unpooled.get(f"{address}/health/ready")
            assert (draining.json()["code"], draining.headers["connection"]) == ("draining", "close")
            created = unpooled.post(f"{address}/users", content=BODY, headers={"content-type": "application/json"})
            assert created.status_code == 201
            last = _respond(open_before)
            assert statuses(last) == [200]
            assert b"connection: close" in last
            assert receive(open_before) == b""
        assert process.wait(30) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_a_request_that_has_begun_when_the_server_stops_is_served(sqlite: str) -> None:
    with serving(sqlite) as (process, address):
        wait_until_ready(address)
        with _connect(address) as in_head, _connect(address) as in_body, _connect(address) as kept:
            send(in_head, LIVE[:20])
            send(in_body, CREATE)
            _respond(kept)
            process.terminate()
            _wait_for(lambda: _is_refused(address))
            send(in_head, LIVE[20:])
            send(in_body, BODY)
            assert statuses(receive(in_head)) == [200]
            assert statuses(receive(in_body)) == [201]
            assert receive(kept) == b""
        assert process.wait(30) == 0


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("options", PROCESSES)
def test_a_second_signal_ends_a_server_at_once(sqlite: str, options: tuple[str, ...], second: signal.Signals) -> None:
    with serving(sqlite, *options, USERPORT_DRAIN_SECONDS="60", USERPORT_AUTH="open") as (process, address):
        wait_until_ready(address)
        process.terminate()
        _wait_for(lambda: unpooled.get(f"{address}/health/ready").status_code == 503)
        process.send_signal(second)
        assert process.wait(30) == -second
        _wait_for(lambda: _is_refused(address))


def test_ctrl_c_in_a_terminal_drains_workers_too(sqlite: str) -> None:
    """It reaches every process of the group."""
    command = (*PROGRAM, "serve", "--port", "0", "--storage", sqlite, "--workers", "2")
    settings = environment(USERPORT_DRAIN_SECONDS="2")
    with subprocess.Popen(  # noqa: S603
        command, env=settings, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stderr is not None
        address = process.stderr.readline().split()[-1].removesuffix("/docs")
        wait_until_ready(address)
        os.killpg(process.pid, signal.SIGINT)
        _wait_for(lambda: unpooled.get(f"{address}/health/ready").status_code == 503)
        assert [unpooled.get(f"{address}/users").status_code for _ in range(8)] == [200] * 8
        assert process.wait(30) == 0


@pytest.mark.parametrize("value", ["-1", "soon", "nan", "1e9"])
def test_a_wrong_number_of_seconds_to_drain_is_one_line(value: str) -> None:
    refused = userport("serve", "--storage", "memory://", USERPORT_DRAIN_SECONDS=value)
    assert (refused.exit_code, refused.errors.count("\n")) == (2, 1)
    assert "USERPORT_DRAIN_SECONDS" in refused.errors


@pytest.mark.parametrize("by_signal", [False, True], ids=["by a look at the file", "by SIGHUP"])
def test_every_worker_reloads_the_signing_keys(sqlite: str, tmp_path: Path, *, by_signal: bool) -> None:
    old = SigningKeys.new()
    new = SigningKeys.new(retired=old)
    file = tmp_path / "key.pem"
    _replace(file, old.to_pem())
    variables = {"USERPORT_SIGNING_KEY_FILE": str(file), "PYTHONUNBUFFERED": "1"}  # the image sets the latter
    with serving(sqlite, "--workers", "2", **variables) as (process, address):
        wait_until_ready(address)
        if Path("/proc/self/task").exists():  # elsewhere, workers that start slowly may miss the signal
            _wait_for(lambda: sum(map(_catches_sighup, workers(process))) == 2)
        assert _published(address) == {frozenset({old.signing.id})}
        _replace(file, new.to_pem())
        if by_signal:
            process.send_signal(signal.SIGHUP)
        assert process.stderr is not None
        lines = (line for line in process.stderr if not line.startswith("Mails are not sent"))
        assert [f"{new.signing.id} signs, 2 verify\n" in line for line in islice(lines, 2)] == [True, True]
        assert _published(address) == {frozenset({old.signing.id, new.signing.id})}
        _replace(file, "broken")
        if by_signal:
            process.send_signal(signal.SIGHUP)
        assert ["remain as they are" in line for line in islice(lines, 2)] == [True, True]
        assert _published(address) == {frozenset({old.signing.id, new.signing.id})}
        assert process.poll() is None


def test_a_worker_of_jobs_reloads_the_signing_keys(sqlite: str, tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    _replace(file, SigningKeys.new().to_pem())
    new = SigningKeys.new()
    settings = environment(USERPORT_SIGNING_KEY=str(file), USERPORT_MAIL=f"file:{tmp_path}")
    with subprocess.Popen(  # noqa: S603
        (*PROGRAM, "work", "--storage", sqlite), env=settings, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "userport runs background jobs\n"
        _replace(file, new.to_pem())
        process.send_signal(signal.SIGHUP)
        assert new.signing.id in process.stderr.readline()
        process.terminate()
        assert process.wait(30) == 0


def _replace(file: Path, content: str) -> None:
    newer = file.with_suffix(".new")
    newer.write_text(content)
    newer.chmod(0o600)
    newer.replace(file)


def _catches_sighup(pid: int) -> bool:
    with suppress(FileNotFoundError):  # it has ended since it was listed
        caught = re.search(r"SigCgt:\s*(\w+)", Path(f"/proc/{pid}/status").read_text())
        return caught is not None and int(caught[1], 16) >> (signal.SIGHUP - 1) & 1 == 1
    return False


def _published(address: str) -> set[frozenset[str]]:
    """Return the sets of keys that the workers publish, over so many connections that every worker responds."""
    answers = [unpooled.get(f"{address}/.well-known/jwks.json").json()["keys"] for _ in range(24)]
    return {frozenset(key["kid"] for key in keys) for keys in answers}


def _is_refused(address: str) -> bool:
    try:
        _connect(address).close()
    except OSError:
        return True
    return False
