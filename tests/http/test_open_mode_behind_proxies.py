"""Open mode rejects requests through real proxies."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.serving import unpooled
from tests.http.problems import check_problem, code_of
from tests.http.running_server import RunningServer, serving
from tests.servers.proxies import nginx

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with serving(tmp_path_factory.mktemp("served")) as served:
        yield served


@pytest.mark.parametrize(
    "directives",
    [
        "",
        "proxy_set_header Host localhost;",
        "proxy_http_version 1.1; proxy_set_header X-Real-IP $remote_addr;",
        "proxy_http_version 1.1; proxy_set_header Host $host; proxy_set_header X-Forwarded-Proto $scheme;",
    ],
)
def test_requests_through_nginx_are_rejected(served: RunningServer, tmp_path: Path, directives: str) -> None:
    with nginx(tmp_path, served.port, directives) as address:
        for path in ("/users", "/health/live", "/docs"):
            response = unpooled.get(f"{address}{path}")
            check_problem(response)
            assert (response.status_code, code_of(response)) == (403, "not_local")
    assert unpooled.get(f"http://127.0.0.1:{served.port}/users").status_code == 200


def test_a_browser_is_known_behind_a_proxy_that_adds_nothing(served: RunningServer, tmp_path: Path) -> None:
    # nginx's default since 1.29.7.
    with nginx(tmp_path, served.port, 'proxy_http_version 1.1; proxy_set_header Connection "";') as address:
        for header in (
            {"origin": "https://users.example.org"},
            {"referer": "https://users.example.org/docs"},
            {"sec-fetch-site": "same-site"},
        ):
            assert unpooled.get(f"{address}/users", headers=header).status_code == 403
