"""Slow clients, and more clients than allowed, against a real server."""

import re
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from time import sleep
from typing import Any, Final

import pytest

from tests.cli.commands import userport
from tests.http.running_server import RunningServer, receive, send, serving, statuses

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="counts the connections of a server through /proc"),
]

HEAD: Final = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n"
LIVE: Final = HEAD + b"\r\n"
DOCUMENT: Final = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
JSON: Final = b"Host: localhost\r\nContent-Type: application/json\r\n"
BODY: Final = b'{"email": "slow@example.org", "name": "Ann"}'
CREATE: Final = b"POST /users HTTP/1.1\r\n" + JSON + b"Content-Length: %d\r\n\r\n" % len(BODY)
CHUNKED: Final = b"POST /users HTTP/1.1\r\n" + JSON + b"Transfer-Encoding: chunked\r\n\r\n"

# More than the kernel buffers for a client that does not read.
UNREAD: Final = 100
SMALL_BUFFER: Final = 32 * 1024


@pytest.fixture(scope="module")
def short_timeouts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    directory = tmp_path_factory.mktemp("short_timeouts")
    with serving(directory, head_timeout=0.7, body_timeout=1, write_timeout=1, keep_alive_timeout=1) as served:
        yield served


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with serving(tmp_path_factory.mktemp("small"), max_connections=4, head_timeout=1) as served:
        yield served


@pytest.fixture(autouse=True)
def no_accidents(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    for name in {"short_timeouts", "small"} & set(request.fixturenames):
        served: RunningServer = request.getfixturevalue(name)
        assert statuses(served.exchange(HEAD + b"Connection: close\r\n\r\n")) == [200]
        assert "Traceback" not in served.output
        assert "ERROR" not in served.output
        served.wait_for_connections(0)


def drip(connection: socket.socket, content: bytes) -> bytes:
    """Send bytes one by one until there is a response, and receive it."""
    connection.settimeout(0.1)
    for byte in content:
        send(connection, bytes([byte]))
        with suppress(TimeoutError):
            return connection.recv(10_000)
    connection.settimeout(30)
    return connection.recv(10_000)


def is_served(connection: socket.socket) -> bool:
    """Send a request and receive its response; the connection stays open."""
    send(connection, LIVE)
    received = b""
    while not received.endswith(b'{"status":"ok"}') and (more := connection.recv(1000)):
        received += more
    return statuses(received) == [200]


def stop_reading(served: RunningServer, requests: bytes) -> socket.socket:
    """Open a connection and send requests, without reading responses."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
    connection.settimeout(30)
    connection.connect(("127.0.0.1", served.port))
    send(connection, requests)
    return connection


def test_a_connection_without_a_request_is_closed_without_a_response(short_timeouts: RunningServer) -> None:
    assert short_timeouts.exchange(b"") == b""
    assert short_timeouts.exchange(b"\r\n") == b""


def test_an_idle_connection_is_closed_after_its_last_response(short_timeouts: RunningServer) -> None:
    assert statuses(short_timeouts.exchange(LIVE, LIVE)) == [200, 200]


@pytest.mark.parametrize("earlier", [b"", LIVE])
def test_a_head_that_stays_away_is_408(short_timeouts: RunningServer, earlier: bytes) -> None:
    received = short_timeouts.exchange(earlier + HEAD)
    assert statuses(received) == [200] * bool(earlier) + [408]
    head, _, body = received.rpartition(b"\r\n\r\n")
    assert b"connection: close" in head
    assert b"application/problem+json" in head
    assert b'"request_timeout"' in body


def test_a_head_that_drips_is_408(short_timeouts: RunningServer) -> None:
    with short_timeouts.connection() as connection:
        assert statuses(drip(connection, HEAD * 5)) == [408]


@pytest.mark.parametrize("start", [CREATE + BODY[:10], CREATE, CHUNKED + b"5\r\n{"])
def test_a_body_that_stops_is_408(short_timeouts: RunningServer, start: bytes) -> None:
    received = short_timeouts.exchange(start)
    assert statuses(received) == [408]
    assert b'"request_timeout"' in received


def test_a_body_that_stops_after_its_response_is_no_second_response(short_timeouts: RunningServer) -> None:
    head = b"POST /users HTTP/1.1\r\n" + JSON + b"Content-Length: 300000\r\n\r\n"
    assert statuses(short_timeouts.exchange(head + b"{")) == [413]


def test_a_slow_body_arrives(short_timeouts: RunningServer) -> None:
    with short_timeouts.connection() as connection:
        send(connection, CREATE)
        assert statuses(drip(connection, BODY)) == [201]


@pytest.mark.parametrize("also", [b"", b"GET /"])
def test_a_client_that_reads_nothing_is_dropped(short_timeouts: RunningServer, also: bytes) -> None:
    with stop_reading(short_timeouts, DOCUMENT * UNREAD) as connection:
        short_timeouts.wait_for_connections(1)
        send(connection, also)
        short_timeouts.wait_for_connections(0)
        assert len(statuses(receive(connection))) < UNREAD


def test_a_client_that_asks_to_close_and_reads_nothing_is_dropped(short_timeouts: RunningServer) -> None:
    last = HEAD + b"Connection: close\r\n\r\n"
    with stop_reading(short_timeouts, DOCUMENT * UNREAD + last) as connection:
        connection.shutdown(socket.SHUT_WR)
        short_timeouts.wait_for_connections(0)


def test_a_client_that_reads_slowly_gets_everything(short_timeouts: RunningServer) -> None:
    received = b""
    with stop_reading(short_timeouts, DOCUMENT * UNREAD + HEAD + b"Connection: close\r\n\r\n") as connection:
        for _ in range(25):
            received += connection.recv(SMALL_BUFFER)
            sleep(0.1)
        assert statuses(received + receive(connection)) == [200] * (UNREAD + 1)


def test_the_longest_idle_connection_makes_room(small: RunningServer) -> None:
    with ExitStack() as connections:
        first, *others = (connections.enter_context(small.connection()) for _ in range(4))
        assert all(map(is_served, (first, *others)))
        newcomer = connections.enter_context(small.connection())
        assert receive(first) == b""
        assert all(map(is_served, (*others, newcomer)))


@pytest.mark.parametrize("start", [b"", b"GET /", CREATE[:50]])
def test_unfinished_heads_do_not_keep_others_out(small: RunningServer, start: bytes) -> None:
    with ExitStack() as connections:
        for _ in range(20):
            send(connections.enter_context(small.connection()), start)
        assert statuses(small.exchange(HEAD + b"Connection: close\r\n\r\n")) == [200]


def test_a_new_connection_gets_503_while_all_others_are_in_use(small: RunningServer) -> None:
    with ExitStack() as connections:
        busy = [connections.enter_context(small.connection()) for _ in range(4)]
        for connection in busy:
            send(connection, CREATE.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"))
            assert statuses(connection.recv(1000)) == [100]
        received = small.exchange(LIVE)
        assert statuses(received) == [503]
        assert b"retry-after: 1" in received
        assert b"application/problem+json" in received
        assert b"connection: close" in received
        # A connection whose body does not arrive also makes room, a little later.
        while statuses(small.exchange(HEAD + b"Connection: close\r\n\r\n")) != [200]:
            sleep(0.1)
        assert receive(busy[0]) == b""


def test_a_low_limit_of_open_files_does_not_keep_others_out(tmp_path: Path) -> None:
    with serving(tmp_path, files="200:200") as served, ExitStack() as connections:
        assert "200 files" in served.output
        for _ in range(400):
            connections.enter_context(served.connection())
        with ThreadPoolExecutor(20) as threads:
            responses = threads.map(lambda _: served.exchange(HEAD + b"Connection: close\r\n\r\n"), range(20))
            assert [statuses(received) for received in responses] == [[200]] * 20


def test_the_limit_of_open_files_is_raised_as_far_as_the_connections_need(tmp_path: Path) -> None:
    with serving(tmp_path, files="200:4096") as served:
        limits = Path(f"/proc/{served.process.pid}/limits").read_text()
        assert re.search(r"^Max open files +1128 +4096 ", limits, re.MULTILINE)
        assert served.output.count("\n") == 1


def test_stalled_clients_do_not_keep_a_server_from_stopping(tmp_path: Path) -> None:
    with serving(tmp_path) as served, ExitStack() as connections:
        for start in (b"", LIVE, HEAD, CREATE, CREATE + BODY[:5], CHUNKED + b"5\r\n{"):
            send(connections.enter_context(served.connection()), start)
        connections.enter_context(stop_reading(served, DOCUMENT * UNREAD))
        dripping = connections.enter_context(served.connection())
        send(dripping, CHUNKED)
        served.wait_for_connections(8)
        with ThreadPoolExecutor(1) as thread:
            thread.submit(drip, dripping, b"1\r\nx\r\n" * 1_000)
            served.process.send_signal(signal.SIGTERM)
            assert served.process.wait(timeout=30) == 0
        assert served.output.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("USERPORT_MAX_CONNECTIONS", "0"),
        ("USERPORT_HEAD_TIMEOUT", "0"),
        ("USERPORT_BODY_TIMEOUT", "-1"),
        ("USERPORT_WRITE_TIMEOUT", "nan"),
        ("USERPORT_KEEP_ALIVE_TIMEOUT", "soon"),
    ],
)
def test_a_wrong_limit_is_a_one_line_error(name: str, value: str) -> None:
    setting: dict[str, Any] = {name: value}
    refused = userport("serve", "--storage", "memory://", **setting)
    assert (refused.exit_code, refused.errors.count("\n")) == (2, 1)
    assert name in refused.errors
