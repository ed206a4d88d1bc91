"""Refresh a session, with refresh tokens that are each used once (RFC 6749, section 6; RFC 9700, section 4.14)."""

import asyncio
from datetime import timedelta

import httpx
import pytest

from tests.application.fakes import ManualClock
from tests.http.service import Service
from tests.http.sign_in_helpers import SignedInUser, a_member, bearer, refresh, tokens_of

pytestmark = pytest.mark.usefixtures("short_delays")


@pytest.fixture
async def memory_token_service(clocked_token_service: Service) -> Service:
    """The tests of this module move its time."""
    return clocked_token_service


async def test_a_refresh_gives_a_new_pair_that_works(token_client: httpx.AsyncClient) -> None:
    person = await a_member(token_client)
    response = await refresh(token_client, person.tokens["refresh_token"])
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"
    tokens = response.json()
    assert tokens["refresh_token"] != person.tokens["refresh_token"]
    assert tokens["access_token"] != person.tokens["access_token"]
    assert (await token_client.get("/users/me", headers=bearer(tokens["access_token"]))).status_code == 200
    assert (await refresh(token_client, tokens["refresh_token"])).status_code == 200


@pytest.mark.every_store
async def test_of_twenty_parallel_refreshes_with_one_token_all_leave_the_user_signed_in(
    token_client: httpx.AsyncClient,
) -> None:
    person = await a_member(token_client)
    responses = await asyncio.gather(*(refresh(token_client, person.tokens["refresh_token"]) for _ in range(20)))
    assert [response.status_code for response in responses] == [200] * 20
    for response in responses:
        access = bearer(response.json()["access_token"])
        assert (await token_client.get("/users/me", headers=access)).status_code == 200
    again = await asyncio.gather(*(refresh(token_client, response.json()["refresh_token"]) for response in responses))
    assert [response.status_code for response in again] == [200] * 20
    assert len((await token_client.get("/auth/sessions", headers=person.headers)).json()) == 1


async def test_a_token_used_again_at_once_gives_a_working_pair_even_when_the_next_one_was_used_too(
    token_client: httpx.AsyncClient,
) -> None:
    person = await a_member(token_client)
    first = person.tokens["refresh_token"]
    second = (await refresh(token_client, first)).json()["refresh_token"]
    third = (await refresh(token_client, second)).json()["refresh_token"]
    again = await refresh(token_client, first)
    assert again.status_code == 200
    assert again.json()["refresh_token"] == third
    assert (await refresh(token_client, third)).status_code == 200


async def test_a_token_used_again_later_ends_the_whole_family(
    memory_token_client: httpx.AsyncClient, clock: ManualClock
) -> None:
    thief = victim = await a_member(memory_token_client)
    other = await _second_session(memory_token_client, victim)
    newer = (await refresh(memory_token_client, victim.tokens["refresh_token"])).json()
    clock.move(seconds=10.001)
    assert (await refresh(memory_token_client, thief.tokens["refresh_token"])).json()["error"] == "invalid_grant"
    assert (await refresh(memory_token_client, newer["refresh_token"])).json()["error"] == "invalid_grant"
    await asyncio.sleep(0.15)  # one second without shortened delays
    for access in (victim.tokens["access_token"], newer["access_token"]):
        assert (await memory_token_client.get("/users/me", headers=bearer(access))).status_code == 401
    assert (await memory_token_client.get("/users/me", headers=other.headers)).status_code == 200


async def test_a_token_used_again_within_ten_seconds_is_a_retry(
    memory_token_client: httpx.AsyncClient, clock: ManualClock
) -> None:
    person = await a_member(memory_token_client)
    newer = (await refresh(memory_token_client, person.tokens["refresh_token"])).json()
    clock.move(seconds=9.999)
    again = await refresh(memory_token_client, person.tokens["refresh_token"])
    assert again.json()["refresh_token"] == newer["refresh_token"]
    clock.move(days=1)
    assert (await refresh(memory_token_client, newer["refresh_token"])).status_code == 200


async def test_an_old_token_of_many_uses_ago_ends_the_family(
    memory_token_client: httpx.AsyncClient, clock: ManualClock
) -> None:
    person = await a_member(memory_token_client)
    tokens = person.tokens
    for _ in range(50):
        clock.move(minutes=15)
        tokens = (await refresh(memory_token_client, tokens["refresh_token"])).json()
    assert (await refresh(memory_token_client, person.tokens["refresh_token"])).status_code == 400
    assert (await refresh(memory_token_client, tokens["refresh_token"])).status_code == 400


async def test_a_made_up_token_with_the_id_of_a_session_ends_nothing(memory_token_client: httpx.AsyncClient) -> None:
    person = await a_member(memory_token_client)
    token = person.tokens["refresh_token"]
    made_up = token[:22] + token[22:][::-1]  # the id comes first
    assert (await refresh(memory_token_client, made_up)).status_code == 400
    assert (await refresh(memory_token_client, token)).status_code == 200


async def test_a_session_ends_a_week_after_its_last_use_and_thirty_days_after_its_first(
    memory_token_client: httpx.AsyncClient, clock: ManualClock
) -> None:
    left, kept = await a_member(memory_token_client), await a_member(memory_token_client)
    begun, tokens = clock.time, kept.tokens
    while clock.time < begun + timedelta(days=30) - timedelta(days=6):
        clock.move(days=6)
        response = await refresh(memory_token_client, tokens["refresh_token"])
        assert response.status_code == 200
        tokens = response.json()
    assert (await refresh(memory_token_client, left.tokens["refresh_token"])).status_code == 400
    clock.move(days=6, seconds=1)
    assert (await refresh(memory_token_client, tokens["refresh_token"])).status_code == 400


async def test_an_access_token_is_good_for_fifteen_minutes(
    memory_token_client: httpx.AsyncClient, clock: ManualClock
) -> None:
    person = await a_member(memory_token_client)
    clock.move(minutes=14, seconds=58)
    assert (await memory_token_client.get("/users/me", headers=person.headers)).status_code == 200
    clock.move(seconds=3)
    late = await memory_token_client.get("/users/me", headers=person.headers)
    assert (late.status_code, late.headers["www-authenticate"]) == (401, 'Bearer error="invalid_token"')


async def test_an_access_token_refreshes_nothing_and_a_refresh_token_opens_nothing(
    memory_token_client: httpx.AsyncClient,
) -> None:
    person = await a_member(memory_token_client)
    assert (await refresh(memory_token_client, person.tokens["access_token"])).status_code == 400
    opened = await memory_token_client.get("/users/me", headers=bearer(person.tokens["refresh_token"]))
    assert opened.status_code == 401


async def _second_session(client: httpx.AsyncClient, person: SignedInUser) -> SignedInUser:

    return SignedInUser(person.user, await tokens_of(client, person.user["email"]))
