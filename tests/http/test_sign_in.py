"""Signing in by OAuth 2's password grant (RFC 6749, section 4.3), on every store."""

import httpx
import pytest

from tests.http.records import new_user, register
from tests.http.service import Service
from tests.http.sign_in_helpers import PASSWORD, a_member, an_admin, bearer, sign_in, tokens_of

pytestmark = pytest.mark.usefixtures("short_delays")

WRONG = {"error": "invalid_grant", "error_description": "The name or the password is wrong."}


@pytest.mark.every_store
async def test_a_user_signs_in_and_calls(token_client: httpx.AsyncClient) -> None:
    created = (await token_client.post("/users", json=new_user(password=PASSWORD))).json()
    response = await sign_in(token_client, created["email"])
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"
    tokens = response.json()
    assert set(tokens) == {"access_token", "token_type", "expires_in", "refresh_token"}
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", 900)
    own = await token_client.get("/users/me", headers=bearer(tokens["access_token"]))
    assert own.json() == created


async def test_a_name_is_an_email_or_a_username_in_any_case(token_client: httpx.AsyncClient) -> None:
    user = await register(token_client, email="Ann.Lee@Example.org", username="Ann_Lee", password=PASSWORD)
    for name in ("Ann.Lee@Example.org", "ann.lee@example.ORG", " ann.lee@example.org ", "Ann_Lee", "ann_lee"):
        tokens = await tokens_of(token_client, name)
        own = await token_client.get("/users/me", headers=bearer(tokens["access_token"]))
        assert own.json()["id"] == user["id"]


async def test_every_reason_for_a_failed_sign_in_has_the_same_response(
    token_service: Service, token_client: httpx.AsyncClient
) -> None:
    admin = await an_admin(token_service, token_client)
    known = await register(token_client, username="known", password=PASSWORD)
    without_password = await register(token_client)
    disabled = await register(token_client, password=PASSWORD)
    change = {"active": False}
    assert (await token_client.patch(f"/users/{disabled['id']}", json=change, headers=admin.headers)).status_code == 200
    for name, password in (
        (known["email"], "wrong horse battery"),
        ("known", PASSWORD.upper()),
        ("unknown@example.org", PASSWORD),
        ("unknown", PASSWORD),
        ("no name at all", PASSWORD),
        ("@", PASSWORD),
        (without_password["email"], PASSWORD),
        (disabled["email"], PASSWORD),
        (known["email"], "x" * 5_000),
    ):
        response = await sign_in(token_client, name, password)
        assert (response.status_code, response.json()) == (400, WRONG)


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({}, "invalid_request"),
        ({"grant_type": ""}, "invalid_request"),
        ({"grant_type": "password"}, "invalid_request"),
        ({"grant_type": "password", "username": "ann"}, "invalid_request"),
        ({"grant_type": "password", "username": "ann", "password": ""}, "invalid_request"),
        ({"grant_type": "refresh_token"}, "invalid_request"),
        ({"grant_type": ["password", "password"], "username": "ann", "password": "x"}, "invalid_request"),
        ({f"parameter{number}": "x" for number in range(50)}, "invalid_request"),
        ({"grant_type": "client_credentials"}, "unsupported_grant_type"),
        ({"grant_type": "refresh_token", "refresh_token": "x"}, "invalid_grant"),
        ({"grant_type": "refresh_token", "refresh_token": "A" * 88}, "invalid_grant"),
        ({"grant_type": "refresh_token", "refresh_token": "é\0"}, "invalid_grant"),
    ],
)
async def test_a_form_that_is_wrong_is_refused_as_oauth_says(
    memory_token_client: httpx.AsyncClient, form: dict[str, str], error: str
) -> None:
    response = await memory_token_client.post(
        "/auth/token", data=form, headers={"content-type": "application/x-www-form-urlencoded"}
    )
    assert (response.status_code, response.json()["error"]) == (400, error)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"grant_type=password&username=%ff&password=x", b"\0", b"&&&==&"])
async def test_a_body_that_is_not_a_form_is_an_oauth_error(
    memory_token_client: httpx.AsyncClient, content: bytes
) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    response = await memory_token_client.post("/auth/token", content=content, headers=headers)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")


async def test_a_body_of_another_type_or_size_is_refused(memory_token_client: httpx.AsyncClient) -> None:
    json = await memory_token_client.post("/auth/token", json={"grant_type": "password"})
    assert (json.status_code, json.headers["accept-post"]) == (415, "application/x-www-form-urlencoded")
    huge = await sign_in(memory_token_client, "ann", "x" * 300_000)
    assert huge.status_code == 413


async def test_signing_in_does_not_mind_a_token_that_has_expired(memory_token_client: httpx.AsyncClient) -> None:
    person = await a_member(memory_token_client)
    response = await sign_in(memory_token_client, person.user["email"], headers=bearer("old"))
    assert response.status_code == 200


async def test_no_response_repeats_the_password(memory_token_client: httpx.AsyncClient) -> None:
    secret = "Xq7marker9Zt-and-more"
    await register(memory_token_client, email="ann@example.org", password=secret)
    wrong = await sign_in(memory_token_client, "ann@example.org", f"{secret}!")
    missing = await memory_token_client.post("/auth/token", data={"password": secret})
    for response in (wrong, missing):
        assert "Xq7marker9Zt" not in response.text


async def test_a_refusal_takes_its_time_and_a_success_does_not(
    memory_token_client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    user = await register(memory_token_client, password=PASSWORD)
    waited = []

    async def wait(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr("application.sign_in.service.asyncio.sleep", wait)
    assert (await sign_in(memory_token_client, user["email"])).status_code == 200
    assert waited == []
    for name in (user["email"], "unknown"):
        assert (await sign_in(memory_token_client, name, "wrong")).status_code == 400
    assert all(0 < seconds <= 0.5 for seconds in waited)
    assert len(waited) == 2
