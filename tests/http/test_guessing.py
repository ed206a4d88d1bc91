"""Rate limits for guessing passwords, on every store."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from adapters.memory.storage import MemoryStorage
from adapters.storage_contract.examples import a_session, a_user
from adapters.storage_contract.steps import add
from application.expired_records import ExpiredRecords
from domain.errors import StaleVersion, StorageUnavailable
from domain.session import SESSIONS
from domain.sign_in_failures import SIGN_IN_FAILURES, SignInFailures
from domain.values import truncate_to_milliseconds
from tests.application.fakes import ManualClock
from tests.http.problems import code_of
from tests.http.records import register
from tests.http.service import Service, running
from tests.http.sign_in_helpers import PASSWORD, SIGNING_KEY, a_member, sign_in

pytestmark = pytest.mark.usefixtures("short_delays")

WRONG = "wrong horse battery"


async def guess(client: httpx.AsyncClient, *names: str) -> Sequence[int]:
    answers = await asyncio.gather(*(sign_in(client, name, WRONG) for name in names))
    return sorted(answer.status_code for answer in answers)


def running_limited(limits: dict[str, Any]) -> AbstractAsyncContextManager[Service]:
    return running(hashes=False, signing_key=SIGNING_KEY, **limits)


@pytest.fixture
async def memory_token_service(clocked_token_service: Service) -> Service:
    """The tests of this module move its time."""
    return clocked_token_service


@pytest.fixture
async def elsewhere(memory_token_service: Service) -> AsyncIterator[httpx.AsyncClient]:
    async with memory_token_service.connect(peer=("192.0.2.7", 50000)) as client:
        yield client


@pytest.mark.parametrize("is_known", [True, False])
async def test_after_five_failures_an_account_has_to_wait(token_client: httpx.AsyncClient, is_known: bool) -> None:
    name = (await register(token_client, password=PASSWORD))["email"] if is_known else "unknown@example.org"
    assert await guess(token_client, *[name] * 5) == [400] * 5
    for password in (WRONG, PASSWORD):
        refused = await sign_in(token_client, name, password)
        assert (refused.status_code, code_of(refused)) == (429, "too_many_failures")
        assert 50 <= int(refused.headers["retry-after"]) <= 60
    other = await register(token_client, password=PASSWORD)
    assert (await sign_in(token_client, other["email"])).status_code == 200


@pytest.mark.every_store
async def test_of_many_parallel_guesses_five_are_answered(token_client: httpx.AsyncClient) -> None:
    user = await register(token_client, password=PASSWORD)
    assert await guess(token_client, *[user["email"]] * 15) == [400] * 5 + [429] * 10


@pytest.mark.parametrize("is_known", [True, False])
async def test_a_name_is_the_same_however_it_is_written(token_client: httpx.AsyncClient, is_known: bool) -> None:
    if is_known:
        await register(token_client, password=PASSWORD, username="ann", email="ann@example.org")
    for name in ("ann", "ann@example.org"):
        assert await guess(token_client, name, name, name.upper(), name.title(), name) == [400] * 5
        assert (await sign_in(token_client, name)).status_code == 429


@pytest.mark.parametrize("is_known", [True, False])
@pytest.mark.parametrize("is_home", [True, False])
async def test_failures_do_not_show_that_two_names_are_one_account(
    memory_token_client: httpx.AsyncClient, elsewhere: httpx.AsyncClient, is_known: bool, is_home: bool
) -> None:
    if is_known:
        await a_member(memory_token_client, username="ann", email="ann@example.org")
    client = memory_token_client if is_home else elsewhere
    assert await guess(client, *["ann@example.org"] * 5) == [400] * 5
    assert await guess(client, *["ann"] * 4) == [400] * 4
    if is_known:  # a success resets the counter of this name only
        assert (await sign_in(memory_token_client, "ann")).status_code == 200
    assert await guess(client, "ann@example.org") == [429]


async def test_after_twenty_failures_an_address_has_to_wait(token_client: httpx.AsyncClient) -> None:
    names = [f"unknown{number}@example.org" for number in range(25)]
    assert await guess(token_client, *names) == [400] * 20 + [429] * 5
    user = await register(token_client, password=PASSWORD)
    refused = await sign_in(token_client, user["email"])
    assert (refused.status_code, int(refused.headers["retry-after"]) >= 1) == (429, True)


async def test_an_address_of_version_six_is_its_network(memory_token_service: Service) -> None:
    for number in range(20):
        async with memory_token_service.connect(peer=(f"2001:db8::{number:x}", 1)) as client:
            assert (await sign_in(client, f"unknown{number}", WRONG)).status_code == 400
    async with memory_token_service.connect(peer=("2001:db8::ffff", 1)) as same_network:
        assert (await sign_in(same_network, "another", WRONG)).status_code == 429
    async with memory_token_service.connect(peer=("2001:db8:0:1::1", 1)) as another_network:
        assert (await sign_in(another_network, "another", WRONG)).status_code == 400


async def test_the_networks_of_one_site_have_a_limit_together(memory_token_service: Service) -> None:
    async def attempt(address: str, number: int) -> int:
        async with memory_token_service.connect(peer=(address, 1)) as client:
            return (await sign_in(client, f"unknown{number}", WRONG)).status_code

    for number in range(100):
        assert await attempt(f"2001:db8:0:{number:x}::1", number) == 400
    assert await attempt("2001:db8:0:ffff::1", 100) == 429
    assert await attempt("2001:db8:1::1", 101) == 400


async def test_a_block_ends_after_a_minute_however_many_attempts_were_blocked(
    memory_token_client: httpx.AsyncClient, clock: ManualClock
) -> None:
    user = await register(memory_token_client, password=PASSWORD)
    await guess(memory_token_client, *[user["email"]] * 5)
    for _ in range(30):
        clock.move(seconds=1.9)
        assert await guess(memory_token_client, user["email"]) == [429]
    clock.move(seconds=3.1)
    assert (await sign_in(memory_token_client, user["email"])).status_code == 200


async def test_a_success_makes_earlier_failures_forgotten(memory_token_client: httpx.AsyncClient) -> None:
    user = await register(memory_token_client, password=PASSWORD)
    for _ in range(3):
        assert await guess(memory_token_client, *[user["email"]] * 4) == [400] * 4
        assert (await sign_in(memory_token_client, user["email"])).status_code == 200


async def test_failures_from_elsewhere_do_not_lock_a_signed_in_user_out(
    memory_token_client: httpx.AsyncClient, elsewhere: httpx.AsyncClient
) -> None:
    victim = await a_member(memory_token_client)
    assert await guess(elsewhere, *[victim.user["email"]] * 6) == [400] * 5 + [429]
    assert (await sign_in(memory_token_client, victim.user["email"])).status_code == 200
    assert (await sign_in(elsewhere, victim.user["email"])).status_code == 429
    assert await guess(memory_token_client, *[victim.user["email"]] * 6) == [400] * 5 + [429]


async def test_a_current_password_cannot_be_guessed_either(token_client: httpx.AsyncClient) -> None:
    person = await a_member(token_client)
    body = {"current_password": WRONG, "new_password": "another horse battery"}
    statuses = [
        (await token_client.put("/users/me/password", json=body, headers=person.headers)).status_code for _ in range(6)
    ]
    assert statuses == [403] * 5 + [429]


async def test_a_signed_in_user_can_change_a_password_that_others_guess_at(
    memory_token_client: httpx.AsyncClient, elsewhere: httpx.AsyncClient
) -> None:
    victim = await a_member(memory_token_client)
    assert await guess(elsewhere, *[victim.user["email"]] * 6) == [400] * 5 + [429]
    body = {"current_password": PASSWORD, "new_password": "another horse battery"}
    # Even from elsewhere, as after a change of network.
    assert (await elsewhere.put("/users/me/password", json=body, headers=victim.headers)).status_code == 204


async def test_a_place_is_no_home_any_more_when_its_session_has_expired(
    memory_token_client: httpx.AsyncClient, elsewhere: httpx.AsyncClient, clock: ManualClock
) -> None:
    victim = await a_member(memory_token_client)
    clock.move(days=8)
    await guess(elsewhere, *[victim.user["email"]] * 5)
    assert (await sign_in(memory_token_client, victim.user["email"])).status_code == 429


@pytest.mark.slow
async def test_one_network_never_takes_all_the_room_for_password_checks() -> None:
    async with (
        running(signing_key=SIGNING_KEY) as service,
        service.connect(peer=("192.0.2.7", 1)) as crowd,
        service.connect() as other,
    ):
        user = await register(other, password=PASSWORD)
        rush = [asyncio.create_task(sign_in(crowd, user["email"])) for _ in range(60)]
        await asyncio.sleep(0.05)
        assert (await sign_in(other, user["email"])).status_code == 200
        assert {(await answer).status_code for answer in rush} == {200, 503}


async def test_limits_are_settings_and_nought_is_none() -> None:
    few = {"sign_in_failures_per_account": 2, "sign_in_failures_per_address": 3}
    none = dict.fromkeys(few, 0)
    async with running_limited(few) as service, service.connect() as client:
        assert await guess(client, "ann", "ann", "ann") == [400, 400, 429]
        assert await guess(client, "ben", "cem") == [400, 429]
    async with running_limited(none) as service, service.connect() as client:
        assert await guess(client, *["ann"] * 30) == [400] * 30


async def test_what_has_expired_is_removed_though_no_request_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("application.expired_records._INTERVAL_SECONDS", 0.01)
    now = truncate_to_milliseconds(datetime.now(UTC))
    user = a_user()
    kept, expired = (replace(a_session(user), expires_at=now + timedelta(hours=hours)) for hours in (1, -1))
    storage = MemoryStorage()
    failures = [SignInFailures.first(f"{number}", now - timedelta(hours=1)) for number in range(150)]
    await add(storage, user, kept, expired, *failures)
    unit = storage.unit_of_work()
    async with running(storage=storage, signing_key=SIGNING_KEY, jobs=True), asyncio.timeout(10):
        # There is no event to wait for.
        while await unit.records(SESSIONS).count() > 1 or await unit.records(SIGN_IN_FAILURES).count():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert list(await unit.records(SESSIONS).page(limit=10)) == [kept]
    assert await unit.records(SIGN_IN_FAILURES).count() == 0


async def test_removing_what_has_expired_goes_on_after_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("application.expired_records._INTERVAL_SECONDS", 0.01)
    outages = iter([StorageUnavailable("It is away."), StaleVersion()])
    purged = asyncio.Event()

    async def purge(_: ExpiredRecords) -> None:
        if outage := next(outages, None):
            raise outage
        purged.set()

    monkeypatch.setattr(ExpiredRecords, "purge", purge)
    async with running(signing_key=SIGNING_KEY, jobs=True), asyncio.timeout(10):
        await purged.wait()
