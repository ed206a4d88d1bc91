"""A user's own sessions, and what ends them, on every store."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.http.problems import code_of
from tests.http.records import UNKNOWN_ID, Record, path_of
from tests.http.service import Service
from tests.http.sign_in_helpers import PASSWORD, SignedInUser, a_member, an_admin, refresh, sign_in, tokens_of

pytestmark = pytest.mark.usefixtures("short_delays")

NOT_ANY_MORE = 0.15
"""Longer than the shortened caching of tokens; `tests/cli/test_tokens.py` waits for the full second."""


async def again(client: httpx.AsyncClient, person: SignedInUser) -> SignedInUser:
    """Sign in once more."""
    return SignedInUser(person.user, await tokens_of(client, person.user["email"]))


async def status(client: httpx.AsyncClient, person: SignedInUser) -> int:
    return (await client.get("/users/me", headers=person.headers)).status_code


async def assert_ended(client: httpx.AsyncClient, *people: SignedInUser) -> None:
    await asyncio.sleep(NOT_ANY_MORE)
    for person in people:
        assert await status(client, person) == 401
        refused = await refresh(client, person.tokens["refresh_token"])
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")


async def assert_goes_on(client: httpx.AsyncClient, *people: SignedInUser) -> None:
    for person in people:
        assert await status(client, person) == 200
        assert (await refresh(client, person.tokens["refresh_token"])).status_code == 200


async def revoke(client: httpx.AsyncClient, token: str, **more: str) -> httpx.Response:
    return await client.post("/auth/revoke", data={"token": token, **more})


async def test_sessions_show_when_they_began_and_were_last_used_and_by_what(token_client: httpx.AsyncClient) -> None:
    first = await a_member(token_client)
    second = (await sign_in(token_client, first.user["email"], headers={"user-agent": b"Tester/1.0 \xe9"})).json()
    sessions: list[Record] = (await token_client.get("/auth/sessions", headers=first.headers)).json()
    assert [session["current"] for session in sessions] == [True, False]
    assert sessions[1]["user_agent"] == "Tester/1.0 é"
    assert all(session["last_used_at"] == session["created_at"] for session in sessions)
    await asyncio.sleep(0.01)
    await refresh(token_client, second["refresh_token"])
    refreshed = (await token_client.get("/auth/sessions", headers=first.headers)).json()
    assert refreshed[0] == sessions[0]
    assert refreshed[1]["last_used_at"] > sessions[1]["last_used_at"]
    assert refreshed[1]["created_at"] == sessions[1]["created_at"]


async def test_one_ends_one_of_ones_sessions_and_the_others_go_on(token_client: httpx.AsyncClient) -> None:
    kept = await a_member(token_client)
    ended = await again(token_client, kept)
    assert (await status(token_client, kept), await status(token_client, ended)) == (200, 200)
    session = (await token_client.get("/auth/sessions", headers=kept.headers)).json()[1]
    path = f"/auth/sessions/{session['id']}"
    assert (await token_client.delete(path, headers=kept.headers)).status_code == 204
    await assert_ended(token_client, ended)
    await assert_goes_on(token_client, kept)
    gone = await token_client.delete(path, headers=kept.headers)
    assert (gone.status_code, code_of(gone)) == (404, "session_not_found")


@pytest.mark.parametrize("session_id", [UNKNOWN_ID, "no-uuid", "me"])
async def test_a_session_that_is_not_there_cannot_be_ended(token_client: httpx.AsyncClient, session_id: str) -> None:
    person = await a_member(token_client)
    response = await token_client.delete(f"/auth/sessions/{session_id}", headers=person.headers)
    assert (response.status_code, code_of(response)) == (404, "session_not_found")


@pytest.mark.parametrize("kind", ["refresh_token", "access_token"])
async def test_a_revoked_token_ends_its_session(token_client: httpx.AsyncClient, kind: str) -> None:
    person = await a_member(token_client)
    other = await again(token_client, person)
    assert await status(token_client, person) == 200
    for _ in range(2):  # the second time has no effect
        response = await revoke(token_client, person.tokens[kind], token_type_hint=kind)
        assert (response.status_code, response.content) == (200, b"")
    await assert_ended(token_client, person)
    await assert_goes_on(token_client, other)


async def test_a_used_up_refresh_token_revokes_its_session_too(token_client: httpx.AsyncClient) -> None:
    person = await a_member(token_client)
    newer = (await refresh(token_client, person.tokens["refresh_token"])).json()
    assert (await revoke(token_client, person.tokens["refresh_token"])).status_code == 200
    await assert_ended(token_client, SignedInUser(person.user, newer))


@pytest.mark.parametrize("token", ["unknown", "A" * 88, "a.b.c", "é"])
async def test_revoking_an_unknown_token_has_no_effect(token_client: httpx.AsyncClient, token: str) -> None:
    person = await a_member(token_client)
    assert (await revoke(token_client, token)).status_code == 200
    made_up = person.tokens["refresh_token"][:22] + "A" * 66
    assert (await revoke(token_client, made_up)).status_code == 200
    await assert_goes_on(token_client, person)


async def test_what_names_no_token_is_not_revoked(memory_token_client: httpx.AsyncClient) -> None:
    response = await memory_token_client.post("/auth/revoke", data={"token_type_hint": "access_token"})
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")


@pytest.mark.every_store
async def test_a_removed_user_is_signed_out(token_client: httpx.AsyncClient) -> None:
    person = await a_member(token_client)
    other = await again(token_client, person)
    assert (await token_client.delete("/users/me", headers=person.headers)).status_code == 204
    await assert_ended(token_client, person, other)


async def test_a_disabled_user_is_signed_out_and_stays_so(
    token_service: Service, token_client: httpx.AsyncClient
) -> None:
    admin, person = await an_admin(token_service, token_client), await a_member(token_client)
    other = await again(token_client, person)
    for active in (False, True):
        change = await token_client.patch(path_of(person.user), json={"active": active}, headers=admin.headers)
        assert change.status_code == 200
        await assert_ended(token_client, person, other)
    await assert_goes_on(token_client, await again(token_client, person))


async def test_a_demoted_admin_is_a_member_within_a_second(
    token_service: Service, token_client: httpx.AsyncClient
) -> None:
    first, second = await an_admin(token_service, token_client), await an_admin(token_service, token_client)
    assert (await token_client.get("/users", headers=second.headers)).status_code == 200
    await token_client.patch(path_of(second.user), json={"role": "member"}, headers=first.headers)
    await asyncio.sleep(NOT_ANY_MORE)
    assert (await token_client.get("/users", headers=second.headers)).status_code == 404


@pytest.mark.every_store
async def test_a_new_password_ends_every_other_session(token_client: httpx.AsyncClient) -> None:
    person = await a_member(token_client)
    others = [await again(token_client, person) for _ in range(2)]
    change = {"current_password": PASSWORD, "new_password": "another horse battery"}
    response = await token_client.put("/users/me/password", json=change, headers=person.headers)
    assert (response.status_code, response.content) == (204, b"")
    await assert_ended(token_client, *others)
    await assert_goes_on(token_client, person)
    assert (await sign_in(token_client, person.user["email"])).status_code == 400
    assert (await sign_in(token_client, person.user["email"], "another horse battery")).status_code == 200


async def test_an_admin_who_sets_a_password_ends_all_sessions(
    token_service: Service, token_client: httpx.AsyncClient
) -> None:
    admin, person = await an_admin(token_service, token_client), await a_member(token_client)
    change: dict[str, Any] = {"new_password": "another horse battery"}
    path = f"{path_of(person.user)}/password"
    assert (await token_client.put(path, json=change, headers=admin.headers)).status_code == 204
    await assert_ended(token_client, person)
    await assert_goes_on(token_client, admin)
    assert (await sign_in(token_client, person.user["email"], "another horse battery")).status_code == 200


async def test_a_user_has_at_most_fifty_sessions(memory_token_client: httpx.AsyncClient) -> None:
    person = await a_member(memory_token_client)
    latest = [await again(memory_token_client, person) for _ in range(50)]
    sessions = (await memory_token_client.get("/auth/sessions", headers=latest[-1].headers)).json()
    assert len(sessions) == 50
    await assert_ended(memory_token_client, person)  # the least recently used session
    assert await status(memory_token_client, latest[0]) == 200
