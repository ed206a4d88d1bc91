"""`userport health`, against a real service."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from tests.cli.commands import userport
from tests.cli.serving import serving
from tests.servers.process import free_port


class _NotReady(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_error(503)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def a_server_that_is_not_ready() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _NotReady) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_a_ready_service_is_healthy_at_its_url_and_by_the_settings() -> None:
    with serving("memory://") as (_, address):
        assert userport("health", address).exit_code == 0
        assert userport("health", f"{address}/").exit_code == 0
        port = address.rpartition(":")[2]
        for host in ("127.0.0.1", "localhost", "0.0.0.0"):  # noqa: S104 - the check is of loopback then
            assert userport("health", USERPORT_HOST=host, USERPORT_PORT=port).exit_code == 0


def test_a_service_that_is_not_ready_is_unhealthy() -> None:
    with a_server_that_is_not_ready() as url:
        result = userport("health", url)
    assert (result.exit_code, result.errors) == (1, "userport: the service is not ready: it responds with 503\n")


def test_a_service_that_does_not_run_is_unhealthy() -> None:
    result = userport("health", f"http://127.0.0.1:{free_port()}")
    assert (result.exit_code, result.errors) == (1, "userport: the service does not respond: Connection refused\n")


@pytest.mark.parametrize("url", ["localhost:8000", "file:///etc/passwd", "http://127.0.0.1:port", "http://", ""])
def test_what_is_not_a_url_is_wrong_usage(url: str) -> None:
    result = userport("health", url)
    assert (result.exit_code, result.errors) == (2, "userport: write the URL as http://127.0.0.1:8000\n")
