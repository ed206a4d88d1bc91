"""Without a signing key everything is allowed, but only to this machine."""

import httpx
import pytest

from tests.http.problems import code_of
from tests.http.records import NOBODY, new_user
from tests.http.service import Service

CALLS = [
    ("GET", "/users"),
    ("HEAD", "/users"),
    ("POST", "/users"),
    ("GET", f"/users/{NOBODY}"),
    ("DELETE", f"/users/{NOBODY}"),
    ("OPTIONS", "/users"),
    ("GET", "/nothing"),
]


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1"])
@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8000", "LocalHost", "127.0.0.1", "127.0.0.1:80", "[::1]", "[::1]:8000"]
)
async def test_this_machine_may_do_everything(memory_service: Service, peer: str, host: str) -> None:
    async with memory_service.connect(peer=(peer, 50000)) as client:
        created = await client.post("/users", json=new_user(role="admin"), headers={"host": host})
        assert created.status_code == 201
        assert (await client.delete(created.headers["location"], headers={"host": host})).status_code == 204


ANY_ADDRESS = "0.0.0.0"  # noqa: S104 - refused, not bound


@pytest.mark.parametrize(
    "peer", ["10.0.0.1", "192.168.1.2", "8.8.8.8", ANY_ADDRESS, "::", "fe80::1", "::ffff:10.0.0.1", "", "localhost"]
)
async def test_another_machine_is_refused(memory_service: Service, peer: str) -> None:
    async with memory_service.connect(peer=(peer, 50000)) as client:
        for method, path in CALLS:
            assert (await client.request(method, path)).status_code == 403


@pytest.mark.parametrize(
    "host",
    [
        "example.org",
        "localhost.example.org",
        "127.0.0.1.example.org",
        "example.org:8000",
        "localhost@example.org",
        "example.org#localhost",
        "localhost,example.org",
        "localhost:8000:9000",
        "localhost:port",
        "10.0.0.1",
        ANY_ADDRESS,
        "2130706433",
        "127.1",
        "[::]",
        "::1",
        "",
        " localhost example.org",
        "notlocalhost",
        "localhost\u00e9",
    ],
)
async def test_a_host_that_is_no_loopback_name_is_refused(memory_service: Service, host: str) -> None:
    async with memory_service.connect() as client:
        for method, path in CALLS:
            response = await client.request(method, path, headers=[(b"host", host.encode("latin-1"))])
            assert response.status_code == 403


async def test_two_hosts_are_refused(memory_service: Service) -> None:
    async with memory_service.connect() as client:
        headers = [("host", "localhost"), ("host", "example.org")]
        assert (await client.get("/users", headers=headers)).status_code == 403


@pytest.mark.parametrize(
    "header",
    ["Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "x-forwarded-port", "X-FORWARDED-BY"],
)
@pytest.mark.parametrize("value", ["", "127.0.0.1", "for=127.0.0.1", "localhost"])
async def test_what_a_proxy_forwards_is_refused(memory_service: Service, header: str, value: str) -> None:
    async with memory_service.connect() as client:
        for method, path in CALLS:
            assert (await client.request(method, path, headers={header: value})).status_code == 403


async def test_a_refused_request_changes_nothing_and_says_why(memory_service: Service) -> None:
    async with memory_service.connect() as local, memory_service.connect(peer=("10.0.0.1", 50000)) as remote:
        response = await remote.post("/users", json=new_user())
        assert (response.status_code, code_of(response)) == (403, "not_local")
        assert (await local.get("/users")).json() == []


async def test_a_web_page_of_another_origin_is_promised_nothing(memory_client: httpx.AsyncClient) -> None:
    asked = {"origin": "https://example.org", "access-control-request-method": "POST"}
    preflight = await memory_client.options("/users", headers=asked)
    simple = await memory_client.post(
        "/users", content=b'{"email": "a@example.org", "name": "A"}', headers={**asked, "content-type": "text/plain"}
    )
    assert (preflight.status_code, simple.status_code) == (405, 415)
    for response in (preflight, simple):
        assert not any(name.startswith("access-control-") for name in response.headers)
