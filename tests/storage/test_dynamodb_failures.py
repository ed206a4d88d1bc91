"""Errors of DynamoDB become domain errors, or are retried."""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import count, repeat

import pytest

from adapters.dynamodb import client, removals, table
from adapters.resilience import Backoff
from adapters.storage_contract.admins import an_admin
from adapters.storage_contract.examples import (
    LATER,
    a_credential,
    a_full_user,
    a_post,
    a_prefix,
    a_session,
    a_user,
    at_version,
    renamed,
    some_failures,
)
from adapters.storage_contract.steps import (
    StorageContents,
    add,
    read_all,
    remove,
    stage_add,
    stage_save,
    stored,
    stored_credential,
    stored_user,
)
from domain.errors import StaleVersion, StorageUnavailable, TooBusy
from domain.post import POSTS
from domain.sign_in_failures import SIGN_IN_FAILURES
from domain.storage import Storage
from tests.servers.databases import Databases
from tests.servers.dynamodb_proxy import Proxy, proxied
from tests.storage.database_contract import connected


@pytest.fixture
async def proxy(databases: Databases) -> AsyncIterator[Proxy]:
    with databases.fresh("dynamodb") as url:
        async with connected(url) as storage:
            await storage.prepare()
        async with proxied(url) as proxy:
            yield proxy


@pytest.fixture
async def storage(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Storage]:
    monkeypatch.setattr(removals, "_RESUME_DELAY_SECONDS", 3600)  # no interference by the background purge
    async with connected(proxy.url) as storage:
        yield storage


@pytest.mark.parametrize(
    "code", ["ThrottlingException", "ProvisionedThroughputExceededException", "TransactionInProgressException"]
)
async def test_what_passes_is_no_failure(proxy: Proxy, storage: Storage, code: str) -> None:
    user = a_user()
    proxy.errors.extend([code] * 3)
    await add(storage, user)
    proxy.errors.extend([code] * 3)
    assert await stored_user(storage, user) == user


async def test_a_table_that_stays_overloaded_is_too_busy(
    proxy: Proxy, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses = count(1)

    async def pause(_: Backoff) -> None:
        await asyncio.sleep(0 if next(pauses) < 5 else 3600)  # so that its time is up between two calls

    await storage.ping()
    monkeypatch.setattr(client, "_CALL_TIMEOUT_SECONDS", 2)
    monkeypatch.setattr(Backoff, "pause", pause)
    proxy.errors.extend(repeat("ThrottlingException", 1_000))
    with pytest.raises(TooBusy):
        await add(storage, a_user())
    assert len(proxy.errors) == 995
    proxy.errors.clear()
    assert await storage.unit_of_work().users.count() == 0


async def test_a_transaction_in_conflict_is_sent_again(proxy: Proxy, storage: Storage) -> None:
    users = [a_user(), a_user()]
    proxy.errors.extend(["TransactionCanceledException"] * 3)
    await add(storage, users[0])
    proxy.errors.extend(["TransactionCanceledException"] * 3)
    await add(storage, *users[1:], a_user())
    assert [await stored_user(storage, user) for user in users] == users


@pytest.mark.parametrize("code", ["AccessDeniedException", "UnrecognizedClientException", "ExpiredTokenException"])
async def test_credentials_that_are_refused_are_named_as_the_reason(proxy: Proxy, storage: Storage, code: str) -> None:
    proxy.errors.append(code)
    with pytest.raises(StorageUnavailable, match="credentials"):
        await storage.ping()
    await storage.ping()


async def test_missing_credentials_are_reported(
    proxy: Proxy, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.session.cache_clear()
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("HOME", "/nonexistent")
    with pytest.raises(StorageUnavailable, match="credentials"):
        await storage.ping()
    client.session.cache_clear()


async def test_an_unknown_refusal_is_unavailable(proxy: Proxy, storage: Storage) -> None:
    proxy.errors.append("SomethingNewException")
    with pytest.raises(StorageUnavailable):
        await add(storage, a_user())


async def test_not_even_the_driver_logs_a_hash(storage: Storage, caplog: pytest.LogCaptureFixture) -> None:
    user = a_user()
    credential = a_credential(user)
    with caplog.at_level(logging.DEBUG):
        await add(storage, user, credential)
        assert await stored_credential(storage, user) == credential
    assert credential.password_hash not in caplog.text


async def test_all_reads_are_consistent(proxy: Proxy, storage: Storage) -> None:
    user = a_full_user()
    post, session, failures = a_post(user), a_session(user), some_failures()
    await add(storage, user, an_admin(), post, a_credential(user), session, failures)
    await read_all(storage)
    assert await stored(storage, post) == post
    assert await stored(storage, session) == session
    assert list(await storage.unit_of_work().records(SIGN_IN_FAILURES).due(LATER, limit=10)) == [failures]
    users = storage.unit_of_work().users
    await users.count()
    await users.active_admins(limit=10)
    await users.search(a_prefix("a"), limit=10)
    await users.find_by_emails([user.email, a_user().email])
    await storage.unit_of_work().records(POSTS).count(owner=user.id)
    await storage.unit_of_work().records(POSTS).count()
    await remove(storage, user)
    for request in proxy.reads:
        asked = request["RequestItems"].values() if "RequestItems" in request else [request]
        assert [part["ConsistentRead"] for part in asked] == [True]


async def test_a_range_of_any_size_is_read_in_parts(
    proxy: Proxy, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "_MAX_ITEMS_IN_RESPONSE", 2)
    users = [a_user() for _ in range(5)]
    posts = [a_post(users[0]) for _ in range(5)]
    kept = a_post(users[1])
    await add(storage, *users, *posts, kept)
    assert await read_all(storage) == StorageContents.of(*users, *posts, kept)
    unit = storage.unit_of_work()
    assert await unit.users.count() == 5
    assert await unit.records(POSTS).count() == 6
    assert await unit.records(POSTS).count(owner=users[0].id) == 5
    assert list(await unit.records(POSTS).page(owner=users[0].id, limit=9)) == posts
    await remove(storage, users[0])
    assert await read_all(storage) == StorageContents.of(*users[1:], kept)
    queries = [request for request in proxy.reads if "KeyConditionExpression" in request]
    assert {query["Limit"] for query in queries} == {2}


async def test_a_commit_between_two_reads_is_not_mistaken_for_another_collision(proxy: Proxy, storage: Storage) -> None:
    ann, ben, carl, dora = (a_user() for _ in range(4))
    await add(storage, ann, dora)

    async def change_in_between() -> None:
        proxy.before.clear()
        unit = storage.unit_of_work()
        stage_save(unit, renamed(ann, "Ann by another process"))
        stage_add(unit, replace(carl, email=ben.email))
        await unit.commit()

    unit = storage.unit_of_work()
    stage_save(unit, renamed(ann, "Ann"))
    stage_add(unit, ben)
    stage_save(unit, at_version(dora, 8))  # makes the commit read which of the items before are taken
    proxy.before[proxy.requests + 2] = change_in_between
    with pytest.raises(StaleVersion):
        await unit.commit()
    assert proxy.before == {}
