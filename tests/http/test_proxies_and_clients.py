"""Real clients, and hostile ones behind real proxies."""

import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from tests.http.running_server import RunningServer, serving, statuses
from tests.http.sign_in_helpers import SIGNING_KEY
from tests.servers.choice import find_program
from tests.servers.proxies import haproxy, nginx

pytestmark = pytest.mark.slow

LIMIT: Final = 5
UPGRADE: Final = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"
CHUNKED: Final = b"Transfer-Encoding: chunked\r\n"

# The configuration for web sockets, with which nginx passes an Upgrade on.
NGINX: Final = """
    proxy_http_version 1.1;
    proxy_set_header Host $host;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection "upgrade";
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_request_buffering off;
"""
DEPLOYED_NGINX: Final = Path(__file__).parents[2] / "deploy" / "nginx" / "userport.conf"


def deployed_directives() -> str:
    """Return what the shipped configuration says of requests, without where userport listens."""
    location = DEPLOYED_NGINX.read_text().partition("location / {")[2].partition("}")[0]
    return "".join(line for line in location.splitlines(keepends=True) if "proxy_pass" not in line)


PROXIES: Final[dict[str, Callable[[Path, int], AbstractContextManager[str]]]] = {
    "nginx": partial(nginx, directives=NGINX),
    "nginx as deployed": partial(nginx, directives=deployed_directives()),
    "haproxy": haproxy,
}

JAVA: Final = """
import java.io.ByteArrayInputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;

class Client {
    static final HttpClient CLIENT = HttpClient.newHttpClient();

    public static void main(String[] address) throws Exception {
        String user = "{\\"email\\": \\"%s@example.org\\", \\"name\\": \\"Ann\\"}";
        create(address[0], BodyPublishers.ofString(user.formatted("java")));
        byte[] bytes = user.formatted("java-in-chunks").getBytes();
        create(address[0], BodyPublishers.ofInputStream(() -> new ByteArrayInputStream(bytes)));
        send(HttpRequest.newBuilder(URI.create(address[0] + "/users")));
    }

    static void create(String address, BodyPublisher body) throws Exception {
        var request = HttpRequest.newBuilder(URI.create(address + "/users"));
        send(request.header("Content-Type", "application/json").POST(body));
    }

    static void send(HttpRequest.Builder request) throws Exception {
        var response = CLIENT.send(request.build(), BodyHandlers.ofString());
        System.out.println(response.statusCode() + " " + response.version());
    }
}
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("served")) as served:
        yield f"http://127.0.0.1:{served.port}"


@pytest.fixture(scope="module", params=PROXIES)
def proxied(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A service behind a trusted proxy, at the proxy's address."""
    directory = tmp_path_factory.mktemp("proxied")
    settings: dict[str, Any] = {
        "signing_key": SIGNING_KEY,
        "trusted_proxies": "127.0.0.1",
        "sign_in_failures_per_address": LIMIT,
        "sign_in_failures_per_account": 0,
    }
    with serving(directory, **settings) as served, PROXIES[request.param](directory, served.port) as address:
        yield replace(served, port=int(address.rpartition(":")[2]), client="127.0.0.2")
        assert "Traceback" not in served.output


def post(path: bytes, headers: bytes, body: bytes, trailer: bytes = b"") -> bytes:
    if CHUNKED in headers:
        body = b"%x\r\n" % len(body) + body + b"\r\n0\r\n" + trailer + b"\r\n"
    else:
        headers += b"Content-Length: %d\r\n" % len(body)
    return b"POST " + path + b" HTTP/1.1\r\nHost: localhost\r\n" + headers + b"\r\n" + body


def guess(number: int, headers: bytes = b"", trailer: bytes = b"") -> bytes:
    form = b"grant_type=password&username=ann%d@example.org&password=wrong+horse" % number
    headers += b"Content-Type: application/x-www-form-urlencoded\r\nConnection: close\r\n"
    return post(b"/auth/token", headers, form, trailer)


def test_no_guess_evades_the_limit_of_its_address(proxied: RunningServer) -> None:
    contents = []
    for number in range(2 * LIMIT):
        forged = b"X-Forwarded-For: 10.0.0.%d\r\n" % number
        hidden = post(b"/users", UPGRADE, guess(number, forged) * 2)
        contents += [guess(number, forged), guess(number, CHUNKED, forged), hidden + guess(number)]
        contents.append(guess(number, UPGRADE + CHUNKED, forged))
    with ThreadPoolExecutor(10) as threads:
        received = list(threads.map(proxied.exchange, contents))
    assert [len(statuses(responses)) for responses in received] == [1, 1, 2, 1] * 2 * LIMIT
    read_all = b"".join(received)
    assert read_all.count(b'"invalid_grant"') == LIMIT
    assert read_all.count(b'"too_many_failures"') == 7 * LIMIT


def test_each_client_gets_its_own_responses(proxied: RunningServer) -> None:
    def request(name: str, headers: bytes, body: bytes) -> bytes:
        return post(b"/nothing", headers + b"X-Request-Id: %s\r\n" % name.encode(), body, b"Connection: close\r\n")

    inner = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: smuggled\r\n\r\n"
    kinds = [b"", UPGRADE, CHUNKED, UPGRADE + CHUNKED]

    def exchange(client: int) -> None:
        names = [f"client-{client}-{number}" for number in range(8)]
        requests = [request(name, kinds[number % 4], inner * 3) for number, name in enumerate(names)]
        last = request("last", b"Connection: close\r\n", b"")
        received = proxied.exchange(b"".join(requests) + last)
        lines = [line for line in received.split(b"\r\n") if line.lower().startswith(b"x-request-id: ")]
        assert [line.split()[1].decode() for line in lines] == [*names, "last"]
        assert statuses(received) == [404] * 9

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(exchange, range(12)))


@pytest.mark.parametrize("headers", [[], ["Transfer-Encoding: chunked"], ["Expect: 100-continue"]])
def test_curl_asks_for_http_2_and_gets_its_response(address: str, headers: list[str]) -> None:
    curl = [find_program("curl", "curl"), "--http2", "--silent", "--max-time", "20"]
    for header in ["Content-Type: application/json", *headers]:
        curl += ["--header", header]
    curl += ["--write-out", "%{http_code} %{num_connects}\n", "--output", "/dev/null"]
    both: list[str] = []
    for name in ("first", "second"):
        user = f'{{"email": "{name}-{len(headers)}-{len("".join(headers))}@example.org", "name": "Ann"}}'
        both += [*(["--next", *curl[1:]] if both else []), "--data", user, f"{address}/users"]
    ended = subprocess.run([*curl, *both], capture_output=True, text=True, check=True)  # noqa: S603
    assert ended.stdout.splitlines() == ["201 1", "201 0"]


def test_javas_client_asks_for_http_2_and_gets_its_responses(address: str, tmp_path: Path) -> None:
    program = find_program("java", "default-jdk-headless")
    source = tmp_path / "Client.java"
    source.write_text(JAVA)
    command = [program, "-XX:TieredStopAtLevel=1", str(source), address]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    assert (ended.stdout.splitlines(), ended.stderr) == (["201 HTTP_1_1", "201 HTTP_1_1", "200 HTTP_1_1"], "")
