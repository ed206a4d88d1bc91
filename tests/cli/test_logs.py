"""The log of `userport serve`, on standard error."""

import asyncio
import io
import json
import logging
import select
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from entrypoints import logs
from entrypoints.ended_requests import EndedRequests
from tests.cli.commands import PROGRAM, environment, userport
from tests.cli.serving import unpooled
from tests.http.records import new_user

SECRET = "hunter2"

# A datagram ends where a write ends; Windows has no socket pairs that show this.
needs_unix_sockets = pytest.mark.skipif(
    not hasattr(socket, "AF_UNIX"), reason="needs Unix sockets, which Windows lacks"
)


class _Service:
    """A service, and its log once it has ended."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        self.first_line = process.stderr.readline()
        self.address = self.first_line.split("http://")[1].partition("/docs")[0]
        self.client = httpx.Client(base_url=f"http://{self.address}", timeout=60)
        self.lines: Sequence[str] = []


@contextmanager
def logging_service(*options: str, **variables: str) -> Iterator[_Service]:
    command = (*PROGRAM, "serve", "--port", "0", *options)
    with subprocess.Popen(command, env=environment(**variables), stderr=subprocess.PIPE, text=True) as process:  # noqa: S603
        try:
            service = _Service(process)
            with service.client:
                yield service
            process.terminate()
            service.lines = process.communicate(timeout=30)[1].splitlines()
        finally:
            process.kill()


def make_requests(client: httpx.Client) -> None:
    user = client.post("/users", json={**new_user(), "bio": SECRET}).headers["location"]
    client.get(user, headers={"X-Request-Id": "one"})
    client.head(f"{user}/", params={"token": SECRET})
    client.get(f"/nothing/{SECRET}", headers={"Authorization": f"Bearer {SECRET}"})


def test_json_lines_have_the_fields_of_each_request_and_no_text_of_it() -> None:
    with logging_service("--storage", "memory://", USERPORT_LOG_FORMAT="json", USERPORT_ACCESS_LOG="true") as service:
        make_requests(service.client)
    start: dict[str, Any] = json.loads(service.first_line)
    assert start["message"].startswith("userport serves in open mode")
    assert (start["level"], start["logger"]) == ("info", "userport.start")
    assert SECRET not in "".join(service.lines)
    lines = [json.loads(line) for line in service.lines]
    assert [(line["method"], line["route"], line["status"]) for line in lines] == [
        ("POST", "/users", 201),
        ("GET", "/users/{id}", 200),
        ("HEAD", "/users/{id}", 200),
        ("GET", "unmatched", 404),
    ]
    for line in lines:
        assert abs(datetime.now(UTC) - datetime.fromisoformat(line["time"])).total_seconds() < 300
        assert (line["level"], line["logger"], line["peer"]) == ("info", "userport.access", "127.0.0.1")
        assert line["duration_ms"] > 0
    assert lines[1]["request_id"] == "one"
    assert len({line["request_id"] for line in lines}) == 4


@pytest.mark.slow
def test_text_lines_say_the_same() -> None:
    with logging_service("--storage", "memory://", USERPORT_ACCESS_LOG="true") as service:
        make_requests(service.client)
    assert len(service.lines) == 4
    method, route, status, duration, unit, request_id, peer = service.lines[1].split()
    assert (method, route, status, unit, request_id, peer) == ("GET", "/users/{id}", "200", "ms", "one", "127.0.0.1")
    assert float(duration) > 0


@pytest.mark.slow
def test_requests_are_not_logged_unless_asked_for() -> None:
    with logging_service("--storage", "memory://", USERPORT_LOG_FORMAT="json") as service:
        make_requests(service.client)
    assert service.lines == []


@pytest.mark.slow
def test_every_worker_process_logs_in_the_format(sqlite: str) -> None:
    with logging_service(
        "--storage", sqlite, "--workers", "2", USERPORT_LOG_FORMAT="json", USERPORT_ACCESS_LOG="true"
    ) as service:
        for _ in range(10):
            unpooled.get(f"http://{service.address}/health/live", timeout=60)
    lines = [json.loads(line) for line in service.lines]
    assert [line["route"] for line in lines if line["logger"] == "userport.access"] == ["/health/live"] * 10


@pytest.mark.slow
def test_lines_of_a_traced_service_have_its_spans() -> None:
    with logging_service(
        "--storage",
        "memory://",
        USERPORT_LOG_FORMAT="json",
        USERPORT_ACCESS_LOG="true",
        OTEL_TRACES_EXPORTER="console",
    ) as service:
        assert service.client.get("/users").status_code == 200
    (line,) = [json.loads(line) for line in service.lines]
    assert (line["route"], len(line["trace_id"]), len(line["span_id"])) == ("/users", 32, 16)


def test_an_unknown_format_is_one_clear_line() -> None:
    result = userport("serve", USERPORT_LOG_FORMAT="xml")
    assert (result.exit_code, result.errors) == (
        2,
        "userport: USERPORT_LOG_FORMAT is wrong: Input should be 'text' or 'json'\n",
    )


class _Writes(io.StringIO):
    def __init__(self) -> None:
        super().__init__()
        self.writes: list[str] = []

    def write(self, text: str) -> int:
        self.writes.append(text)
        return len(text)


@pytest.fixture
def json_log(monkeypatch: pytest.MonkeyPatch) -> _Writes:
    stream = _Writes()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(logs, "_json_handler", None)
    for name in ("", "userport"):
        monkeypatch.setattr(logging.getLogger(name), "handlers", [])
    logs.configure_logs(logs.LogFormat.JSON, access_log=True)
    return stream


async def test_requests_that_end_together_share_writes_which_other_records_follow(json_log: _Writes) -> None:
    route, request_id = '/a "ü"/{id}', 'b"\\'
    ended = EndedRequests(None, access_log=True)
    for number in range(100):
        ended.add(("GET", route, number, 7, 7.00125, request_id, None, None))
    logging.getLogger("userport.http").warning("a record")
    ended.add(("GET", route, 100, 7, 7.5, request_id, "::1", None))
    await asyncio.sleep(0.1)
    lines = [json.loads(line) for line in "".join(json_log.writes).splitlines()]
    assert [line.get("status", line["message"]) for line in lines] == [*range(100), "a record", 100]
    assert len(json_log.writes) < 20
    assert all(write.endswith("\n") and len(write.encode()) <= select.PIPE_BUF for write in json_log.writes)
    for line, duration, peer in ((lines[1], 1.25, None), (lines[-1], 500, "::1")):
        assert line == {
            "time": line["time"],
            "level": "info",
            "logger": "userport.access",
            "message": f"GET {route} {line['status']}",
            "request_id": request_id,
            "method": "GET",
            "route": route,
            "status": line["status"],
            "duration_ms": duration,
            "peer": peer,
        }


async def test_lines_have_the_times_at_which_their_requests_ended(
    json_log: _Writes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.time", lambda: 1_800_000_002.0)
    monkeypatch.setattr("time.perf_counter", lambda: 12.0)
    requests = EndedRequests(None, access_log=True)
    for ended in (10.9996, 11.0, 11.007):
        requests.add(("GET", "/users", 200, 10.9, ended, "one", None, None))
    requests.flush()  # as at the end of a process
    assert [json.loads(line)["time"] for line in "".join(json_log.writes).splitlines()] == [
        "2027-01-15T08:00:00.999+00:00",
        "2027-01-15T08:00:01.000+00:00",
        "2027-01-15T08:00:01.007+00:00",
    ]


def test_a_later_event_loop_writes_the_lines_of_one_that_has_ended(json_log: _Writes) -> None:
    ended = EndedRequests(None, access_log=True)

    async def log(request_id: str, seconds: float) -> None:
        ended.add(("GET", "/users", 200, 7, 7.001, request_id, None, None))
        await asyncio.sleep(seconds)

    asyncio.run(log("one", 0))
    assert json_log.writes == []
    asyncio.run(log("two", 0.1))
    assert [json.loads(line)["request_id"] for line in "".join(json_log.writes).splitlines()] == ["one", "two"]


def test_a_process_that_ends_at_once_has_written_the_lines_of_its_requests() -> None:
    program = """
import asyncio
from entrypoints.ended_requests import EndedRequests
from entrypoints.logs import LogFormat, configure_logs

async def main():
    ended.add(("GET", "/users", 200, 7, 7.001, "one", None, None))

configure_logs(LogFormat.JSON, access_log=True)
ended = EndedRequests(None, access_log=True)
asyncio.run(main())
"""
    ended = subprocess.run((sys.executable, "-c", program), env=environment(), capture_output=True, check=True)  # noqa: S603
    assert json.loads(ended.stderr)["request_id"] == "one"


@needs_unix_sockets
def test_a_line_is_one_write_also_if_python_does_not_buffer() -> None:
    """Worker processes share standard error, and would mix the lines that they write in parts."""
    read, written = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    call = "from entrypoints.logs import LogFormat, announce; announce('A line', LogFormat.TEXT)"
    with read, written:
        subprocess.run((sys.executable, "-u", "-c", call), env=environment(), stderr=written.fileno(), check=True)  # noqa: S603
        assert read.recv(100) == b"A line\n"


@needs_unix_sockets
@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_only_a_process_without_others_writes_more_than_a_pipe_takes_at_once(sqlite: str, workers: int) -> None:
    read, written = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    command = (*PROGRAM, "serve", "--port", "0", "--workers", str(workers), "--storage", sqlite)
    logged = environment(USERPORT_ACCESS_LOG="true", USERPORT_LOG_FORMAT="json")
    with read, written, subprocess.Popen(command, env=logged, stderr=written.fileno()) as process:  # noqa: S603
        try:
            read.settimeout(30)
            port = int(json.loads(read.recv(2**20))["message"].rpartition("/docs")[0].rpartition(":")[2])
            number = 100
            with socket.create_connection(("127.0.0.1", port)) as client:
                client.sendall(b"GET /users HTTP/1.1\r\nHost: localhost\r\n\r\n" * number)
                writes: list[bytes] = []
                while sum(write.count(b"\n") for write in writes) < number:
                    writes.append(read.recv(2**20))
        finally:
            process.terminate()
    assert (max(map(len, writes)) > select.PIPE_BUF) == (workers == 1)
