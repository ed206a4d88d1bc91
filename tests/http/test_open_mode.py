"""Without a signing key, everything is allowed, but only from this machine."""

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from tests.http.problems import code_of
from tests.http.records import UNKNOWN_ID, new_user
from tests.http.service import Service, running

CALLS = [
    ("GET", "/users"),
    ("HEAD", "/users"),
    ("POST", "/users"),
    ("GET", f"/users/{UNKNOWN_ID}"),
    ("DELETE", f"/users/{UNKNOWN_ID}"),
    ("OPTIONS", "/users"),
    ("GET", "/nothing"),
]


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1"])
async def test_this_machine_may_do_everything(memory_service: Service, peer: str) -> None:
    async with memory_service.connect(peer=(peer, 50000)) as client:
        for host in ("localhost", "localhost:8000", "LocalHost", "127.0.0.1", "127.0.0.1:80", "[::1]", "[::1]:8000"):
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
    [
        *(
            "Forwarded",
            "X-Forwarded-For",
            "X-Forwarded-Host",
            "X-Forwarded-Proto",
            "x-forwarded-port",
            "X-FORWARDED-BY",
        ),
        *(
            "Via",
            "X-Real-IP",
            "X-Client-IP",
            "X-Cluster-Client-IP",
            "True-Client-IP",
            "Fastly-Client-IP",
            "Fly-Client-IP",
        ),
        *("CF-Connecting-IP", "CF-Ray", "CDN-Loop", "X-Envoy-External-Address", "X-Envoy-Attempt-Count"),
        *("X-Original-URL", "X-Original-For", "X-Original-Host", "X-Rewrite-URL", "X-Azure-FDID", "X-ARR-SSL"),
        *("X-NginX-Proxy", "X-Accel-Mapping", "X-Varnish", "Surrogate-Capability", "X-Request-Start", "X-Scheme"),
        *("Proxy-Connection", "Proxy-Authorization", "Proxy-Client-IP", "WL-Proxy-Client-IP", "X-Remote-User"),
        *("Front-End-Https", "X-SSL-Client-Cert", "SSL-Client-Verify", "Max-Forwards", "Alt-Used", "Early-Data"),
    ],
)
async def test_what_a_proxy_adds_is_refused(memory_service: Service, header: str) -> None:
    async with memory_service.connect() as client:
        for value in ("", "127.0.0.1", "for=127.0.0.1", "localhost"):
            for method, path in CALLS:
                assert (await client.request(method, path, headers={header: value})).status_code == 403


async def test_a_refused_request_changes_nothing_and_says_why(memory_service: Service) -> None:
    async with memory_service.connect() as local, memory_service.connect(peer=("10.0.0.1", 50000)) as remote:
        response = await remote.post("/users", json=new_user())
        assert (response.status_code, code_of(response)) == (403, "not_local")
        assert (await local.get("/users")).json() == []


@pytest.mark.parametrize(
    "sent",
    [
        *({"origin": origin} for origin in ("https://example.org", "null", "", "http://localhost.example.org")),
        *({"origin": origin} for origin in ("http://127.0.0.1.example.org:8000", "ftp://localhost", "localhost")),
        *(
            {"referer": page}
            for page in ("https://example.org/", "http://example.org/?http://localhost/", "about:blank")
        ),
        *({"referer": page} for page in ("http://localhost@example.org/", "http://localhost:80@example.org/")),
        *({"sec-fetch-site": site} for site in ("cross-site", "same-site", "", "nonsense")),
        {"sec-fetch-site": "cross-site", "referer": "http://localhost:5173/"},
        {"sec-fetch-site": "same-origin", "origin": "https://example.org"},
    ],
)
async def test_a_foreign_web_page_is_refused(memory_service: Service, sent: dict[str, str]) -> None:
    async with memory_service.connect() as client:
        for method, path in CALLS:
            response = await client.request(method, path, headers=sent)
            assert response.status_code == 403
            assert not any(name.startswith("access-control-") for name in response.headers)


@pytest.mark.parametrize(
    "sent",
    [
        {"sec-fetch-site": "none", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document", "sec-fetch-user": "?1"},
        {"sec-fetch-site": "same-origin", "origin": "http://localhost:8000", "referer": "http://localhost:8000/docs"},
        {"sec-fetch-site": "same-site", "origin": "http://localhost:5173"},
        {"origin": "https://127.0.0.1:8443"},
        {"origin": "http://[::1]:8000"},
        {
            "dnt": "1",
            "upgrade-insecure-requests": "1",
            "sec-ch-ua": '"Chromium"',
            "priority": "u=0, i",
            "te": "trailers",
        },
        {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "x-custom": "1", "keep-alive": "5"},
    ],
)
async def test_a_page_or_a_program_of_this_machine_may_call(
    memory_client: httpx.AsyncClient, sent: dict[str, str]
) -> None:
    assert (await memory_client.get("/users", headers=sent)).status_code == 200


async def test_a_page_of_a_configured_origin_may_call() -> None:
    app = "https://app.example:8443"
    async with running(cors_origins=app) as service, service.connect(documented=False) as client:
        for sent in ({"origin": app}, {"origin": app, "sec-fetch-site": "cross-site", "referer": f"{app}/users"}):
            assert (await client.get("/users", headers=sent)).status_code == 200
        for origin in ("https://app.example", f"{app}0", "http://app.example:8443", "https://other.example:8443"):
            assert (await client.get("/users", headers={"origin": origin})).status_code == 403


@pytest.mark.parametrize("version", ["0.9", "1.0", "1.2"])
async def test_an_old_version_of_http_is_taken_for_a_proxy(memory_service: Service, version: str) -> None:
    async def as_of_old(scope: Scope, receive: Receive, send: Send) -> None:
        await memory_service.app({**scope, "http_version": version}, receive, send)

    transport = httpx.ASGITransport(as_of_old)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        assert (await client.get("/users")).status_code == 403
