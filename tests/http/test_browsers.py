"""Headers for browsers: no response is a page, and only some origins may call."""

import httpx
import pytest

from tests.http.problems import check_problem, code_of
from tests.http.records import new_user, register
from tests.http.service import running
from tests.http.sign_in_helpers import SIGNING_KEY

APP = "https://app.example"
PREFLIGHT = {"access-control-request-method": "PATCH", "access-control-request-headers": "authorization,if-match"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/users", 200), ("GET", "/nothing", 404), ("POST", "/users", 400), ("PATCH", "/users", 405)],
)
async def test_no_answer_is_a_page(memory_client: httpx.AsyncClient, method: str, path: str, status: int) -> None:
    response = await memory_client.request(method, path)
    assert response.status_code == status
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["x-frame-options"] == "DENY"
    assert response.headers["referrer-policy"] == "no-referrer"
    assert response.headers["cross-origin-resource-policy"] == "same-origin"
    assert response.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert "strict-transport-security" not in response.headers


async def test_the_documentation_runs_its_own_scripts_alone(memory_client: httpx.AsyncClient) -> None:
    policy = (await memory_client.get("/docs")).headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self' 'sha256-" in policy
    script_sources = policy.partition("script-src")[2].partition(";")[0]
    assert "unsafe" not in script_sources


async def test_where_there_is_tls_it_is_to_stay() -> None:
    async with (
        running(signing_key=SIGNING_KEY) as service,
        service.connect(base_url="https://users.example", documented=False) as client,
    ):
        response = await client.get("/health/live")
    assert response.headers["strict-transport-security"] == "max-age=31536000"


async def test_no_other_page_may_call_unless_it_is_allowed(
    memory_client: httpx.AsyncClient, memory_token_client: httpx.AsyncClient
) -> None:
    for client, status in ((memory_client, 403), (memory_token_client, 405)):
        response = await client.get("/users", headers={"origin": APP})
        assert not [name for name in response.headers if name.startswith("access-control-")]
        preflight = await client.options("/users", headers={"origin": APP, **PREFLIGHT})
        assert preflight.status_code == status
        assert not [name for name in preflight.headers if name.startswith("access-control-")]


async def test_pages_of_an_allowed_origin_may_call() -> None:
    async with running(cors_origins=APP) as service, service.connect(documented=False) as client:
        preflight = await client.options("/users/me", headers={"origin": APP, **PREFLIGHT})
        assert (preflight.status_code, preflight.content) == (204, b"")
        assert preflight.headers["access-control-allow-origin"] == APP
        assert "PATCH" in preflight.headers["access-control-allow-methods"]
        user = await register(client)
        response = await client.get(f"/users/{user['id']}", headers={"origin": APP})
        assert response.headers["access-control-allow-origin"] == APP
        assert "ETag" in response.headers["access-control-expose-headers"]
        assert "access-control-allow-credentials" not in response.headers
        refused = await client.post("/users", json=new_user(email="x"), headers={"origin": APP})
        assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (422, APP)


async def test_pages_of_another_origin_are_refused() -> None:
    async with (
        running(cors_origins=APP, signing_key=SIGNING_KEY) as service,
        service.connect(documented=False) as client,
    ):
        for headers in ({"origin": "https://evil.example"}, {"origin": "null"}, {"origin": f"{APP}.evil.example"}):
            preflight = await client.options("/users", headers={**PREFLIGHT, **headers})
            check_problem(preflight)
            assert (preflight.status_code, code_of(preflight)) == (400, "cross_origin_refused")
            response = await client.get("/users", headers=headers)
            assert "access-control-allow-origin" not in response.headers
