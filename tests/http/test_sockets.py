"""Bytes that no well-behaved client would send, to a real server."""

import random
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Final

import pytest

from tests.http.served import Served, receive, send, serving, statuses

pytestmark = pytest.mark.slow

CLOSE: Final = b"Host: localhost\r\nConnection: close\r\n"
JSON: Final = b"Content-Type: application/json\r\n"
LIVE: Final = b"GET /health/live HTTP/1.1\r\n" + CLOSE + b"\r\n"


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("served")) as served:
        yield served


@pytest.fixture
def served(process: Served) -> Iterator[Served]:
    """A server that, whatever a test has sent to it, still answers and has had no accident."""
    yield process
    assert statuses(process.exchange(LIVE)) == [200]
    assert "Traceback" not in process.told
    assert "ERROR" not in process.told


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
def test_what_is_no_http_is_400_or_cut_off(served: Served, content: bytes) -> None:
    with served.connection() as connection:
        send(connection, content)
        connection.shutdown(socket.SHUT_WR)
        received = receive(connection)
        # A line of HTTP/0.9 is a request, but one without a host.
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
def test_nonsense_in_chunks_does_no_harm(served: Served, chunks: bytes) -> None:
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
def test_an_odd_target_is_an_ordinary_error(served: Served, method: bytes, target: bytes, expected: set[int]) -> None:
    received = served.exchange(method + b" " + target + b" HTTP/1.1\r\n" + CLOSE + b"\r\n")
    assert len(statuses(received)) == 1
    assert set(statuses(received)) <= expected | {405}


@pytest.mark.parametrize("head", [b"GET /users HTTP/1.0\r\n", b"GET /users HTTP/1.1\r\n"])
def test_a_request_without_a_host_is_refused(served: Served, head: bytes) -> None:
    assert set(statuses(served.exchange(head + b"Connection: close\r\n\r\n"))) <= {400, 403}


def test_a_request_of_http_1_0_is_refused_in_open_mode(served: Served) -> None:
    received = served.exchange(b"GET /users HTTP/1.0\r\nHost: localhost\r\n\r\n")
    assert statuses(received) == [403]
    assert b'"not_local"' in received


def test_requests_in_one_packet_are_answered_in_order(served: Served) -> None:
    def request(number: int) -> bytes:
        return b"GET /nothing HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: request-%d\r\n\r\n" % number

    received = served.exchange(b"".join(request(number) for number in range(20)) + LIVE)
    assert statuses(received) == [404] * 20 + [200]
    places = [received.index(b"x-request-id: request-%d\r" % number) for number in range(20)]
    assert places == sorted(places)


@pytest.mark.parametrize("protocol", [b"websocket", b"h2c", b"nonsense"])
def test_a_request_to_change_the_protocol_is_one_like_every_other(served: Served, protocol: bytes) -> None:
    upgrade = b"Connection: Upgrade, close\r\nUpgrade: " + protocol + b"\r\n"
    keys = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    received = served.exchange(b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n" + upgrade + keys + b"\r\n")
    assert statuses(received) == [404]
    assert b"application/problem+json" in received
    assert b"x-request-id" in received


def test_a_body_cannot_smuggle_a_request(served: Served) -> None:
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
def test_a_client_that_leaves_half_way_does_no_harm(served: Served, content: bytes, abruptly: bool) -> None:
    for _ in range(5):
        served.send_and_leave(content, abruptly=abruptly)


def test_a_client_that_only_listens_any_more_does_no_harm(served: Served) -> None:
    with served.connection() as connection:
        send(connection, LIVE)
        connection.shutdown(socket.SHUT_WR)
        assert set(statuses(receive(connection))) <= {200}


def test_a_client_that_expects_100_is_told_to_continue(served: Served) -> None:
    body = b'{"email": "continue@example.org", "name": "Ann"}'
    head = b"POST /users HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: %d\r\n" % len(body) + JSON + CLOSE
    with served.connection() as connection:
        send(connection, head + b"\r\n")
        assert statuses(connection.recv(1000)) == [100]
        send(connection, body)
        assert statuses(receive(connection)) == [201]


def test_a_client_that_announces_too_much_is_413_before_it_sends(served: Served) -> None:
    head = b"POST /users HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 300000\r\n" + JSON + CLOSE + b"\r\n"
    received = served.exchange(head)
    assert statuses(received) == [413]
    assert b"application/problem+json" in received


def test_a_client_that_never_stops_sending_is_413(served: Served) -> None:
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
def test_a_flood_of_headers_does_no_harm(served: Served, headers: bytes) -> None:
    received = served.exchange(b"GET /users HTTP/1.1\r\n" + headers + CLOSE + b"\r\n")
    assert set(statuses(received)) <= {200, 400, 431}


@pytest.mark.parametrize("start", [b"GET /users?search=", b"GET /users HTTP/1.1\r\nX: ", b"GET /users HTTP/1.1\r\n"])
def test_a_head_that_never_ends_is_431(served: Served, start: bytes) -> None:
    more = b"X: x\r\n" if start.endswith(b"\r\n") else b"x"
    with served.connection() as connection:
        send(connection, start)
        for _ in range(20):
            send(connection, more * 10_000)
        received = receive(connection)
    # A client that goes on sending may find the connection reset before it has read the answer.
    assert statuses(received) in ([431], [])
    assert received.count(b'"head_too_large"') == len(statuses(received))


def test_a_head_just_below_the_bound_may_come_in_pieces_and_again(served: Served) -> None:
    head = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 60_000 + b"\r\n\r\n"
    with served.connection() as connection:
        for piece in (head[:30_000], head[30_000:], head[:50_000], head[50_000:] + head, LIVE):
            send(connection, piece)
        assert statuses(receive(connection)) == [200] * 4


def test_idle_connections_do_not_keep_others_out(served: Served) -> None:
    with ExitStack() as connections:
        for _ in range(200):
            send(connections.enter_context(served.connection()), b"GET /users HTTP/1.1\r\nX-Slow: ")
        assert statuses(served.exchange(LIVE)) == [200]


def test_requests_with_random_damage_never_reach_500(served: Served) -> None:
    chance = random.Random(7)  # noqa: S311 - the same damage every time
    body = b'{"email": "damage@example.org", "name": "Ann", "bio": null, "active": true}'
    whole = b"POST /users?x=%41 HTTP/1.1\r\n" + JSON + CLOSE + b"Content-Length: %d\r\n\r\n" % len(body) + body
    for _ in range(400):
        damaged = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            place = chance.randrange(len(damaged))
            damaged[place : place + chance.randint(0, 3)] = chance.randbytes(chance.randint(0, 3))
        with served.connection() as connection:
            send(connection, bytes(damaged))
            connection.shutdown(socket.SHUT_WR)
            assert all(status < 500 for status in statuses(receive(connection)))


def test_what_a_client_sends_is_not_in_the_servers_log(served: Served) -> None:
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
    assert secret.decode() not in served.told
