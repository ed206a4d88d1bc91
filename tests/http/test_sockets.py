"""Malformed input to a real server."""

import random
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from itertools import count
from pathlib import Path
from threading import Thread
from time import sleep
from typing import Final

import httpx
import pytest

from tests.http.records import new_user
from tests.http.running_server import RunningServer, receive, send, serving, statuses
from tests.http.sign_in_helpers import PASSWORD, SIGNING_KEY

pytestmark = pytest.mark.slow

CLOSE: Final = b"Host: localhost\r\nConnection: close\r\n"
JSON: Final = b"Content-Type: application/json\r\n"
NUMBERS: Final = count()
LIVE: Final = b"GET /health/live HTTP/1.1\r\n" + CLOSE + b"\r\n"


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with serving(tmp_path_factory.mktemp("served")) as served:
        yield served


@pytest.fixture
def served(process: RunningServer) -> Iterator[RunningServer]:
    """A server that must still respond and must have logged nothing after each test."""
    yield process
    assert statuses(process.exchange(LIVE)) == [200]
    assert "Traceback" not in process.output
    assert "ERROR" not in process.output


@pytest.mark.parametrize(
    "content",
    [
        b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /users\r\n\r\n",
        b"GET /users HTTP/1.1 extra\r\n" + CLOSE + b"\r\n",
        b"GET /users HTTP/9.9\r\n" + CLOSE + b"\r\n",
        b"GET /users HTTP/1.1x\r\n" + CLOSE + b"\r\n",
        b"GET users HTTP/1.1\r\n" + CLOSE + b"\r\n",
        b"G\x00T /users HTTP/1.1\r\n" + CLOSE + b"\r\n",
        b"GET /us\x00ers HTTP/1.1\r\n" + CLOSE + b"\r\n",
        b"GET /us ers HTTP/1.1\r\n" + CLOSE + b"\r\n",
        b"GET /users HTTP/1.1\r\nHost localhost\r\n\r\n",
        b"GET /users HTTP/1.1\r\nHost : localhost\r\n\r\n",
        b"GET /users HTTP/1.1\r\n: x\r\n" + CLOSE + b"\r\n",
        b"GET /users HTTP/1.1\r\nX: a\x00b\r\n" + CLOSE + b"\r\n",
        b"GET /users HTTP/1.1\r\nX\xff: a\r\n" + CLOSE + b"\r\n",
        b"GET /users HTTP/1.1\r\n folded: x\r\n" + CLOSE + b"\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
        b"\x00" * 1000,
        b"\xff" * 1000,
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"POST /users HTTP/1.1\r\nContent-Length: -1\r\n" + CLOSE + b"\r\n",
        b"POST /users HTTP/1.1\r\nContent-Length: 1x\r\n" + CLOSE + b"\r\nx",
        b"POST /users HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n" + CLOSE + b"\r\nx",
        b"POST /users HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n" + CLOSE + b"\r\nxx",
        b"POST /users HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n" + CLOSE + b"\r\n0\r\n\r\n",
        b"POST /users HTTP/1.1\r\nTransfer-Encoding: nonsense\r\n" + CLOSE + b"\r\n0\r\n\r\n",
        b"POST /users HTTP/1.1\r\nTransfer-Encoding: chunked, nonsense\r\n" + CLOSE + b"\r\n0\r\n\r\n",
    ],
)
def test_malformed_http_is_400_or_a_closed_connection(served: RunningServer, content: bytes) -> None:
    with served.connection() as connection:
        send(connection, content)
        connection.shutdown(socket.SHUT_WR)
        received = receive(connection)
        # A line of HTTP/0.9 is a request without a host.
        assert set(statuses(received)) <= {400, 403}
        assert received.count(b"application/problem+json") == len(statuses(received))


@pytest.mark.parametrize(
    "chunks",
    [
        b"zz\r\nx\r\n0\r\n\r\n",
        b"-1\r\nx\r\n",
        b"FFFFFFFFFFFFFFFFFF\r\nx",
        b"1\r\nxx\r\n0\r\n\r\n",
        b"1;" + b"e" * 99,
        b"\r\n",
    ],
)
def test_nonsense_in_chunks_does_no_harm(served: RunningServer, chunks: bytes) -> None:
    head = b"POST /users HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + JSON + CLOSE + b"\r\n"
    with served.connection() as connection:
        send(connection, head + chunks)
        connection.shutdown(socket.SHUT_WR)
        assert set(statuses(receive(connection))) <= {400}


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (b"/\xff\xfe", {400, 404}),
        (b"/users/\xe2\x98\x83", {400, 404}),
        (b"/users?search=\xff", {200, 400, 422}),
        (b"/%", {404}),
        (b"/users/%00%0d%0a", {404}),
        (b"/users#fragment", {200, 400}),
        (b"http://localhost/users", {200, 400, 404}),
        (b"http://example.org/users", {200, 400, 403, 404}),
        (b"*", {400, 404, 405}),
        (b"//example.org/users", {404}),
        (b"/../../etc/passwd", {404}),
        (b"/docs/assets/../../../../etc/passwd", {404}),
        (b"/docs/assets/%00", {404}),
        (b"/" + b"a" * 60_000, {400, 404, 414}),
        (b"/users?" + b"limit=1&" * 7_000, {200, 400, 414, 422}),
    ],
)
@pytest.mark.parametrize("method", [b"GET", b"OPTIONS", b"DELETE"])
def test_an_odd_target_is_an_ordinary_error(
    served: RunningServer, method: bytes, target: bytes, expected: set[int]
) -> None:
    received = served.exchange(method + b" " + target + b" HTTP/1.1\r\n" + CLOSE + b"\r\n")
    assert len(statuses(received)) == 1
    assert set(statuses(received)) <= expected | {405}


@pytest.mark.parametrize("head", [b"GET /users HTTP/1.0\r\n", b"GET /users HTTP/1.1\r\n"])
def test_a_request_without_a_host_is_refused(served: RunningServer, head: bytes) -> None:
    assert set(statuses(served.exchange(head + b"Connection: close\r\n\r\n"))) <= {400, 403}


def test_a_request_of_http_1_0_is_refused_in_open_mode(served: RunningServer) -> None:
    received = served.exchange(b"GET /users HTTP/1.0\r\nHost: localhost\r\n\r\n")
    assert statuses(received) == [403]
    assert b'"not_local"' in received


def test_requests_in_one_packet_are_answered_in_order(served: RunningServer) -> None:
    def request(number: int) -> bytes:
        return b"GET /nothing HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: request-%d\r\n\r\n" % number

    received = served.exchange(b"".join(request(number) for number in range(20)) + LIVE)
    assert statuses(received) == [404] * 20 + [200]
    offsets = [received.index(b"x-request-id: request-%d\r" % number) for number in range(20)]
    assert offsets == sorted(offsets)


def test_requests_behind_one_that_is_answered_before_its_end_are_answered(served: RunningServer) -> None:
    head = b"POST /users HTTP/1.1\r\nHost: localhost\r\nContent-Length: 300000\r\n" + JSON + b"\r\n"
    with served.connection() as connection:
        send(connection, head)
        first = connection.recv(10_000)
        send(connection, b" " * 300_000 + LIVE)
        assert statuses(first + receive(connection)) == [413, 200]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1000])
def test_however_the_bytes_arrive_each_request_has_its_own_response(served: RunningServer, size: int) -> None:
    def request(head: bytes, body: bytes) -> bytes:
        return b"POST /users HTTP/1.1\r\nHost: localhost\r\n" + JSON + head + b"\r\n" + body

    upgrade = b"Connection: Upgrade\r\nUpgrade: h2c\r\n"
    requests = [
        request(b"Content-Length: 6\r\n", b"{\r\n\r\n}"),
        request(b"Transfer-Encoding: chunked\r\n", b"6\r\n{\r\n\r\n}\r\n0\r\n\r\n"),
        request(b"Transfer-Encoding: chunked\r\n", b"4;x=y\r\n{\n\r}\r\n0\r\nTrailer: x\r\n\r\n"),
        b"\r\n\r\nGET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n",
        request(upgrade + b"Content-Length: 6\r\n", b"{\r\n\r\n}"),
        request(upgrade + b"Transfer-Encoding: chunked\r\n", b"2\r\n{}\r\n0\r\n\r\n"),
    ]
    content = b"".join(requests * 3) + LIVE
    with served.connection() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(content), size):
            send(connection, content[start : start + size])
        assert statuses(receive(connection)) == [422, 422, 422, 404, 422, 422] * 3 + [200]


def test_a_read_may_end_anywhere(served: RunningServer) -> None:
    chunked = b"POST /users HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n" + JSON + b"\r\n"
    content = chunked + b"4\r\n{\n\r}\r\n0\r\nX: x\r\n\r\n" + LIVE
    with ExitStack() as connections:
        halves = []
        for end in range(1, len(content)):
            connection = connections.enter_context(served.connection())
            send(connection, content[:end])
            halves.append((connection, content[end:]))
        sleep(0.2)  # lets the server read the first halves
        for connection, rest in halves:
            send(connection, rest)
        assert [statuses(receive(connection)) for connection, _ in halves] == [[422, 200]] * len(halves)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="finds the memory through /proc")
def test_pipelined_requests_are_not_read_before_responses_are(served: RunningServer) -> None:
    request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    before = served.memory
    with ExitStack() as connections:
        for _ in range(4):
            connection = connections.enter_context(served.connection())
            connection.settimeout(0.5)
            with suppress(TimeoutError):
                connection.sendall(request * 1_000_000)
        assert statuses(served.exchange(LIVE)) == [200]
        assert served.memory - before < 50_000_000


def test_no_response_is_lost_however_many_requests_are_sent_at_once(served: RunningServer) -> None:
    request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with served.connection() as connection:
        sender = Thread(target=send, args=(connection, request * 2_000 + LIVE))
        sender.start()
        assert statuses(receive(connection)) == [404] * 2_000 + [200]
        sender.join()


def test_garbage_after_a_request_is_refused_after_its_response(served: RunningServer) -> None:
    received = served.exchange(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\nnonsense\r\n\r\n")
    assert statuses(received) == [200, 400]


@pytest.mark.parametrize("protocol", [b"websocket", b"h2c", b"nonsense"])
def test_a_request_to_change_the_protocol_is_one_like_every_other(served: RunningServer, protocol: bytes) -> None:
    upgrade = b"Connection: Upgrade, close\r\nUpgrade: " + protocol + b"\r\n"
    keys = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    received = served.exchange(b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n" + upgrade + keys + b"\r\n")
    assert statuses(received) == [404]
    assert b"application/problem+json" in received
    assert b"x-request-id" in received


@pytest.mark.parametrize("framing", [b"Content-Length: %d\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n%x\r\n"])
@pytest.mark.parametrize("together", [True, False])
def test_the_body_of_a_request_to_change_the_protocol_is_its_body(
    served: RunningServer, framing: bytes, together: bool
) -> None:
    body = b'{"email": "%d@example.org", "name": "Ann"}' % next(NUMBERS)
    upgrade = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"
    head = b"POST /users HTTP/1.1\r\nHost: localhost\r\n" + upgrade + JSON + framing % len(body)
    end = b"\r\n0\r\n\r\n" if b"chunked" in framing else b""
    parts = [head + body + end + LIVE] if together else [head, body[:5], body[5:], end, LIVE]
    assert statuses(served.exchange(*parts)) == [201, 200]


@pytest.mark.parametrize("upgrade", [b"Connection: Upgrade\r\nUpgrade: h2c\r\n", b""])
def test_a_request_inside_a_body_gets_no_response(served: RunningServer, upgrade: bytes) -> None:
    inner = b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\n\r\n"
    head = b"POST /users HTTP/1.1\r\nHost: localhost\r\n" + upgrade + JSON + b"Content-Length: %d\r\n\r\n" % len(inner)
    received = served.exchange(head + inner + LIVE)
    assert statuses(received) == [400, 200]
    assert b'"invalid_json"' in received


def test_connect_is_refused_and_nothing_after_it_is_parsed(served: RunningServer) -> None:
    received = served.exchange(b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n" + LIVE)
    assert statuses(received) == [400]
    assert b"connection: close" in received


@pytest.mark.parametrize("coding", [b"gzip", b"gzip, chunked", b"chunked\r\nTransfer-Encoding: chunked", b"identity"])
def test_a_transfer_coding_other_than_chunked_is_refused_once(served: RunningServer, coding: bytes) -> None:
    head = b"DELETE /users/me HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: " + coding + b"\r\n\r\n"
    assert statuses(served.exchange(head + b"0\r\n\r\n" + LIVE)) == [400]


def test_nonsense_in_a_body_is_one_response(served: RunningServer) -> None:
    head = b"POST /users HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n" + JSON
    for expect in (b"", b"Expect: 100-continue\r\n"):
        assert statuses(served.exchange(head + expect + b"\r\nnonsense\r\n" + LIVE)) == [400]


@pytest.mark.parametrize("name", [b"X-Request-Id", b"Content-Type", b"If-None-Match", b"Host"])
def test_trailers_are_not_headers(served: RunningServer, name: bytes) -> None:
    head = b"GET /users HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + CLOSE + b"\r\n"
    received = served.exchange(head + b"0\r\n" + name + b": trailer\r\n\r\n")
    assert statuses(received) == [200]
    assert b"trailer" not in received


def test_a_token_in_a_trailer_is_none(tmp_path: Path) -> None:
    user, mail = new_user(password=PASSWORD), f"file:{tmp_path}/mail"
    form = {"grant_type": "password", "username": user["email"], "password": PASSWORD}
    head = b"GET /users/me HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + CLOSE
    with (
        serving(tmp_path, signing_key=SIGNING_KEY, mail=mail) as served,
        httpx.Client(base_url=f"http://127.0.0.1:{served.port}") as client,
    ):
        assert client.post("/users", json=user).status_code == 201
        token = client.post("/auth/token", data=form).json()["access_token"]
        authorization = f"Authorization: Bearer {token}\r\n".encode()
        assert statuses(served.exchange(head + authorization + b"\r\n0\r\n\r\n")) == [200]
        assert statuses(served.exchange(head + b"\r\n0\r\n" + authorization + b"\r\n")) == [401]


@pytest.mark.parametrize("trailer", [b"Connection: close", b"Connection: Upgrade\r\nUpgrade: h2c"])
def test_trailers_do_not_affect_the_next_request(served: RunningServer, trailer: bytes) -> None:
    head = b"GET /nothing HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert statuses(served.exchange(head + b"0\r\n" + trailer + b"\r\n\r\n", LIVE)) == [404, 200]


@pytest.mark.parametrize("trailer", [b"Content-Length: 5", b"Transfer-Encoding: chunked"])
def test_trailers_about_the_length_of_a_body_are_refused(served: RunningServer, trailer: bytes) -> None:
    head = b"GET /users HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert statuses(served.exchange(head + b"0\r\n" + trailer + b"\r\n\r\n" + LIVE)) == [400]


@pytest.mark.parametrize(
    "endless",
    [
        b"2\r\n{}\r\n0\r\n" + b"X: x\r\n" * 10_000,
        b"2\r\n{}\r\n0\r\nX: " + b"x" * 50_000,
        b"2;" + b"x" * 50_000,
        (b"1;" + b"x" * 5_000 + b"\r\n \r\n") * 50,
    ],
)
def test_a_chunked_body_with_hardly_any_data_is_400(served: RunningServer, endless: bytes) -> None:
    head = b"POST /users HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + JSON + CLOSE + b"\r\n"
    received = served.exchange(head, endless)
    assert statuses(received) in ([400], [])  # the connection may be reset before the client has read the response
    assert b'"empty_body"' not in received


def test_small_chunks_are_a_body_like_every_other(served: RunningServer) -> None:
    body = b'{"email": "chunks@example.org", "name": "Ann", "bio": "%s"}' % (b"x" * 900)
    chunks = b"".join(b"%x;x\r\n%c\r\n" % (1, byte) for byte in body)
    long = b"X: " + b"x" * 60_000 + b"\r\n"
    head = b"POST /users HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + long + JSON + CLOSE + b"\r\n"
    assert statuses(served.exchange(head + chunks + b"0\r\n\r\n")) == [201]


def test_a_body_cannot_smuggle_a_request(served: RunningServer) -> None:
    inner = b"DELETE /users HTTP/1.1\r\nHost: localhost\r\n\r\n"
    head = b"GET /users HTTP/1.1\r\nContent-Length: %d\r\n" % len(inner) + CLOSE + b"\r\n"
    assert statuses(served.exchange(head + inner)) == [200]


@pytest.mark.parametrize("abruptly", [False, True])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"G",
        b"GET /users HTTP/1.1\r\nHost: loc",
        b"POST /users HTTP/1.1\r\nContent-Length: 100\r\n" + JSON + CLOSE + b'\r\n{"email',
        b"POST /users HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + JSON + CLOSE + b"\r\n5\r\n{",
        LIVE,
        b"POST /users HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 100\r\n" + JSON + CLOSE + b"\r\n",
    ],
)
def test_a_client_that_leaves_half_way_does_no_harm(served: RunningServer, content: bytes, abruptly: bool) -> None:
    for _ in range(5):
        served.send_and_leave(content, abruptly=abruptly)


def test_a_client_that_only_listens_any_more_does_no_harm(served: RunningServer) -> None:
    with served.connection() as connection:
        send(connection, LIVE)
        connection.shutdown(socket.SHUT_WR)
        assert set(statuses(receive(connection))) <= {200}


def test_a_client_that_expects_100_is_told_to_continue(served: RunningServer) -> None:
    body = b'{"email": "continue@example.org", "name": "Ann"}'
    head = b"POST /users HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: %d\r\n" % len(body) + JSON + CLOSE
    with served.connection() as connection:
        send(connection, head + b"\r\n")
        assert statuses(connection.recv(1000)) == [100]
        send(connection, body)
        assert statuses(receive(connection)) == [201]


def test_a_client_that_announces_too_much_is_413_before_it_sends(served: RunningServer) -> None:
    head = b"POST /users HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 300000\r\n" + JSON + CLOSE + b"\r\n"
    received = served.exchange(head)
    assert statuses(received) == [413]
    assert b"application/problem+json" in received


def test_a_client_that_never_stops_sending_is_413(served: RunningServer) -> None:
    head = b"POST /users HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + JSON + CLOSE + b"\r\n"
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    with served.connection() as connection:
        send(connection, head + chunk * 5)
        assert statuses(connection.recv(10_000)) == [413]
        send(connection, chunk * 200)


@pytest.mark.parametrize(
    "headers",
    [
        b"".join(b"X-%d: %s\r\n" % (number, b"x" * 50) for number in range(10_000)),
        b"X: " + b"x" * 1_000_000 + b"\r\n",
        b"X" * 100_000 + b": x\r\n",
        b"X: x\r\n" * 10_000,
        b"If-Match: " + b'"1",' * 50_000 + b"\r\n",
        b"X-Request-Id: " + b"x" * 100_000 + b"\r\n",
        b"Cookie: " + b"a=b; " * 50_000 + b"\r\n",
    ],
)
def test_a_flood_of_headers_does_no_harm(served: RunningServer, headers: bytes) -> None:
    received = served.exchange(b"GET /users HTTP/1.1\r\n" + headers + CLOSE + b"\r\n")
    assert set(statuses(received)) <= {200, 400, 431}


@pytest.mark.parametrize("start", [b"GET /users?search=", b"GET /users HTTP/1.1\r\nX: ", b"GET /users HTTP/1.1\r\n"])
def test_a_head_that_never_ends_is_431(served: RunningServer, start: bytes) -> None:
    more = b"X: x\r\n" if start.endswith(b"\r\n") else b"x"
    with served.connection() as connection:
        send(connection, start)
        for _ in range(20):
            send(connection, more * 10_000)
        received = receive(connection)
    # The connection of a client that continues to send may be reset before it has read the response.
    assert statuses(received) in ([431], [])
    assert received.count(b'"head_too_large"') == len(statuses(received))


def test_more_than_a_hundred_headers_are_431(served: RunningServer) -> None:
    head = b"GET /health/live HTTP/1.1\r\n" + CLOSE
    assert statuses(served.exchange(head + b"X: x\r\n" * 98 + b"\r\n")) == [200]
    for more in (b"X: x\r\n" * 99 + b"\r\n", b"X: x\r\n" * 1_000):
        received = served.exchange(head + more)
        assert statuses(received) == [431]
        assert b'"head_too_large"' in received


def test_a_head_just_below_the_bound_may_come_in_pieces_and_again(served: RunningServer) -> None:
    head = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 60_000 + b"\r\n\r\n"
    with served.connection() as connection:
        for piece in (head[:30_000], head[30_000:], head[:50_000], head[50_000:] + head, LIVE):
            send(connection, piece)
        assert statuses(receive(connection)) == [200] * 4


def test_idle_connections_do_not_keep_others_out(served: RunningServer) -> None:
    with ExitStack() as connections:
        for _ in range(200):
            send(connections.enter_context(served.connection()), b"GET /users HTTP/1.1\r\nX-Slow: ")
        assert statuses(served.exchange(LIVE)) == [200]


def test_requests_with_random_damage_never_reach_500(served: RunningServer) -> None:
    chance = random.Random(7)  # noqa: S311 - the same damage every time
    body = b'{"email": "damage@example.org", "name": "Ann", "bio": null, "active": true}'
    complete = b"POST /users?x=%41 HTTP/1.1\r\n" + JSON + CLOSE + b"Content-Length: %d\r\n\r\n" % len(body) + body
    for _ in range(400):
        damaged = bytearray(complete)
        for _ in range(chance.randint(1, 4)):
            place = chance.randrange(len(damaged))
            damaged[place : place + chance.randint(0, 3)] = chance.randbytes(chance.randint(0, 3))
        with served.connection() as connection:
            send(connection, bytes(damaged))
            connection.shutdown(socket.SHUT_WR)
            assert all(status < 500 for status in statuses(receive(connection)))


def test_what_a_client_sends_is_not_in_the_servers_log(served: RunningServer) -> None:
    secret = b"Xq7marker9Zt"
    body = b'{"password": "%s"}' % secret
    requests = [
        b"GET /users?email=%s HTTP/1.1\r\n" % secret + CLOSE + b"\r\n",
        b"GET /users/%s HTTP/1.1\r\nAuthorization: Bearer %s\r\n" % (secret, secret) + CLOSE + b"\r\n",
        b"POST /users HTTP/1.1\r\nContent-Length: %d\r\n" % len(body) + JSON + CLOSE + b"\r\n" + body,
        b"%s nonsense\r\n\r\n" % secret,
    ]
    for request in requests:
        served.exchange(request)
    assert secret.decode() not in served.output
