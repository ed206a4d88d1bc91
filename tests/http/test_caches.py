"""Headers for caches between callers and the service."""

import httpx
import pytest

from tests.http.records import UNKNOWN_ID, new_user, publish, register
from tests.http.sign_in_helpers import PASSWORD, SignedInUser, a_member, bearer


@pytest.fixture
async def ann(token_client: httpx.AsyncClient) -> SignedInUser:
    return await a_member(token_client, name="Ann")


@pytest.fixture
async def ben(token_client: httpx.AsyncClient) -> SignedInUser:
    return await a_member(token_client, name="Ben")


async def test_what_one_caller_has_cached_is_never_confirmed_to_another(
    token_client: httpx.AsyncClient, ann: SignedInUser, ben: SignedInUser
) -> None:
    cached = await token_client.get("/users/me", headers=ann.headers)
    response = await token_client.get("/users/me", headers={**ben.headers, "if-none-match": cached.headers["etag"]})
    assert (response.status_code, response.json()) == (200, ben.user)


async def test_what_one_caller_has_seen_does_not_let_another_write(
    token_client: httpx.AsyncClient, ann: SignedInUser, ben: SignedInUser
) -> None:
    seen = await token_client.get("/users/me", headers=ann.headers)
    if_match = {"if-match": seen.headers["etag"]}
    for method, body in (("PATCH", {"name": "New"}), ("PUT", new_user()), ("DELETE", None)):
        response = await token_client.request(method, "/users/me", json=body, headers=ben.headers | if_match)
        assert response.status_code == 412
    assert (await token_client.get("/users/me", headers=ben.headers)).json() == ben.user


async def test_every_response_that_depends_on_the_caller_says_so(
    token_client: httpx.AsyncClient, ann: SignedInUser
) -> None:
    token_client.headers.update(ann.headers)
    read = await token_client.get("/users/me")
    stale, forged = {"if-match": '"1"'}, bearer("forged")
    responses = [
        (200, read),
        (200, await token_client.head("/users/me")),
        (200, await token_client.get("/users/me/posts")),
        (200, await token_client.get("/auth/sessions")),
        (201, await token_client.post("/users", json=new_user())),
        (304, await token_client.get("/users/me", headers={"if-none-match": read.headers["etag"]})),
        (400, await token_client.patch("/users/me", content=b"")),
        (401, await token_client.get("/users/me", headers=forged)),
        (403, await token_client.patch("/users/me", json={"role": "admin"})),
        (404, await token_client.get("/users")),
        (404, await token_client.get(f"/posts/{UNKNOWN_ID}")),
        (409, await token_client.post("/users", json=new_user(email=ann.user["email"]))),
        (412, await token_client.patch("/users/me", json={}, headers=stale)),
        (415, await token_client.patch("/users/me", content=b"{}", headers={"content-type": "text/plain"})),
        (422, await token_client.get("/users/me/posts?limit=0")),
        (204, await token_client.delete("/users/me")),
    ]
    for status, response in responses:
        assert (response.status_code, response.headers.get("vary")) == (status, "Authorization")


async def test_a_response_that_is_the_same_for_all_callers_does_not_vary(
    token_client: httpx.AsyncClient, memory_client: httpx.AsyncClient
) -> None:
    for path in ("/health/live", "/docs", "/openapi.json", "/.well-known/jwks.json", "/nothing"):
        assert "vary" not in (await token_client.get(path)).headers
    form = {"grant_type": "password", "username": "unknown", "password": PASSWORD}
    assert "vary" not in (await token_client.post("/auth/token", data=form)).headers
    user = await register(memory_client)  # open mode has only one caller
    await publish(memory_client, user)
    for path in (f"/users/{user['id']}", f"/users/{user['id']}/posts", "/users"):
        assert "vary" not in (await memory_client.get(path)).headers
