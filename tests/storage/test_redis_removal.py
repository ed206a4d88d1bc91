"""The records of a removed user are invisible at once, however many, and deleted in batches."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import pytest

from adapters.purging import BackgroundPurge
from adapters.redis.config import RedisConfig
from adapters.redis.server import Server
from adapters.redis.storage import RedisUnitOfWork
from adapters.storage_contract.examples import LATER, a_post, a_record, a_user, at_version, nth_key
from adapters.storage_contract.samples import SAMPLES, Sample
from adapters.storage_contract.steps import add, read_all, remove, save
from domain.errors import StaleVersion, TooBusy, UserNotFound
from domain.post import POSTS
from domain.storage import Storage
from domain.user import User
from tests.servers.databases import Databases
from tests.servers.redis import client
from tests.storage.database_contract import connected

MANY: Final = 3_000
"""More than one commit deletes, and several batches of the purge."""

TIMEOUT_SECONDS: Final = 60


@pytest.fixture
def url(databases: Databases) -> Iterator[str]:
    with databases.fresh("redis") as url:
        yield url


@pytest.fixture
def redis(url: str) -> Iterator[Any]:
    with client(url) as redis:
        yield redis


@pytest.fixture
async def storage(url: str) -> AsyncIterator[Storage]:
    async with connected(url) as storage:
        await storage.prepare()
        yield storage


async def test_many_records_of_a_removed_user_are_invisible_until_they_are_deleted(
    url: str, storage: Storage, redis: Any
) -> None:
    doomed, other = a_user(), a_user()
    samples = _samples(doomed, MANY)
    kept = _samples(other, 3)
    await add(storage, doomed, other, *kept, *(a_post(doomed) for _ in range(MANY)))
    await add(storage, *samples)
    expected: object = list(kept), list(kept[::-1]), list(kept), len(kept), 0, 0, [], None, None, []
    await remove(storage, doomed)
    looks = 0
    while _removed_owners(url, redis):
        assert await _seen(storage, doomed) == expected
        for attempt in (
            save(storage, at_version(samples[-1], 2)),
            remove(storage, samples[-1]),
            add(storage, replace(samples[0], code="new", label="new", serial="new")),
        ):
            with pytest.raises((StaleVersion, UserNotFound)):
                await attempt
        looks += 1
    assert looks > 1
    await _assert_nothing_is_left(url, redis, storage, kept)
    await add(storage, doomed, *samples[:10])
    assert await storage.unit_of_work().records(SAMPLES).count(owner=doomed.id) == 10


async def test_what_one_process_has_not_deleted_is_deleted_by_the_next_one(url: str, redis: Any) -> None:
    doomed, other = a_user(), a_user()
    kept = _samples(other, 3)
    async with connected(url) as first:
        await first.prepare()
        await add(first, doomed, other, *kept, *_samples(doomed, MANY))
        await remove(first, doomed)
        with pytest.raises(TooBusy):
            await add(first, doomed)
    assert _removed_owners(url, redis) == [doomed.id]
    async with connected(url) as second:
        assert await second.unit_of_work().records(SAMPLES).count(owner=doomed.id) == 0
        await _until_purged(url, redis)
        await _assert_nothing_is_left(url, redis, second, kept)


async def test_one_commit_removes_many_users_with_some_records_each(url: str, storage: Storage, redis: Any) -> None:
    users = [a_user() for _ in range(10)]
    kept = _samples(users[0], 2)
    await add(storage, *users, *kept)
    for user in users[1:]:
        await add(storage, *_samples(user, 300))
    await remove(storage, *users[1:])
    assert await storage.unit_of_work().records(SAMPLES).count() == len(kept)
    await _until_purged(url, redis)
    await _assert_nothing_is_left(url, redis, storage, kept)


async def test_large_records_are_deleted_in_small_batches(url: str, storage: Storage, redis: Any) -> None:
    doomed = a_user()
    await add(storage, doomed)
    for sample in _samples(doomed, 40):
        await add(storage, replace(sample, text="x" * 250_000))
    await remove(storage, doomed)
    assert _removed_owners(url, redis) == [doomed.id], "which is too much for the commit itself"
    assert list((await read_all(storage)).records["samples"]) == []


async def test_what_a_broken_script_left_does_not_hold_up_the_purge(url: str, storage: Storage, redis: Any) -> None:
    doomed = a_user()
    samples = _samples(doomed, MANY)
    await add(storage, doomed, *samples)
    redis.hdel(RedisConfig.parse(url).key("records"), *(f"samples:{sample.code}" for sample in samples[:500]))
    await remove(storage, doomed)
    await _until_purged(url, redis)
    assert redis.zcard(RedisConfig.parse(url).key("owned")) == 500, "for the times, which nothing finds any more"


@pytest.mark.parametrize("seed", range(10))
async def test_pages_skip_what_is_hidden_wherever_it_lies(url: str, storage: Storage, redis: Any, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - nothing is to be kept secret
    doomed, others = [a_user(), a_user()], [a_user(), a_user()]
    owner, samples = chance.choice(doomed + others), []
    for number in range(300):
        if chance.random() < 0.1:
            owner = chance.choice(doomed + others)
        due_at = LATER + timedelta(milliseconds=chance.randrange(50)) if chance.random() < 0.8 else None
        samples.append(replace(a_record(SAMPLES, owner, key=nth_key(SAMPLES, number)), due_at=due_at))
    await add(storage, *doomed, *others, *samples)
    redis.hset(RedisConfig.parse(url).key("state"), mapping={user.id: 1 for user in doomed})
    visible = [sample for sample in samples if sample.user_id in {user.id for user in others}]
    server = Server(RedisConfig.parse(url))
    records = RedisUnitOfWork(server, {}, BackgroundPurge(_nothing)).records(SAMPLES)
    assert await records.count() == len(visible)
    for _ in range(30):
        descending = chance.random() < 0.5
        after = nth_key(SAMPLES, chance.randrange(300)) if chance.random() < 0.7 else None
        skip, limit = chance.choice([0, 0, 1, 7, 100]), chance.choice([0, 1, 3, 50, 1_000])
        ordered = visible[::-1] if descending else visible
        behind = [it for it in ordered if after is None or (it.code < after if descending else it.code > after)]
        found = await records.page(after=after, limit=limit, descending=descending, skip=skip)
        assert list(found) == behind[skip : skip + limit]
        moment = LATER + timedelta(milliseconds=chance.randrange(-1, 51))
        due = sorted((it for it in visible if it.due_at and it.due_at <= moment), key=lambda it: (it.due_at, it.code))
        assert list(await records.due(moment, limit=limit)) == due[:limit]
    await server.close()


async def _seen(storage: Storage, doomed: User) -> object:
    """Look for samples in every way, of other users and of a removed one."""
    unit = storage.unit_of_work()
    samples = unit.records(SAMPLES)
    return (
        list(await samples.page(limit=1_000)),
        list(await samples.page(limit=1_000, descending=True)),
        sorted(await samples.due(LATER, limit=1_000), key=SAMPLES.key_of),
        await samples.count(),
        await samples.count(owner=doomed.id),
        await unit.records(POSTS).count(),
        list(await samples.page(owner=doomed.id, limit=10)),
        await samples.get(doomed.id),
        await samples.find("serial", doomed.id),
        list(await unit.records(POSTS).page(limit=10)),
    )


def _samples(owner: User, number: int) -> list[Sample]:
    """Return samples that are all due; the key and the serial of the last one contain the owner."""
    samples = [replace(a_record(SAMPLES, owner), due_at=LATER) for _ in range(number)]
    return [*samples[:-1], replace(samples[-1], code=str(owner.id), serial=str(owner.id))]


async def _until_purged(url: str, redis: Any) -> None:
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while _removed_owners(url, redis):  # noqa: ASYNC110 - it may be another process that purges
            await asyncio.sleep(0.01)


def _removed_owners(url: str, redis: Any) -> Sequence[str]:
    fields = redis.hkeys(RedisConfig.parse(url).key("state"))
    return [field.decode() for field in fields if field != b"version"]


async def _assert_nothing_is_left(url: str, redis: Any, storage: Storage, kept: Sequence[Sample]) -> None:
    key = RedisConfig.parse(url).key
    users = await storage.unit_of_work().users.count()
    assert redis.hlen(key("records")) == users + len(kept)
    assert redis.zcard(key("owned")) == 2 * len(kept)
    assert redis.zcard(key("index")) == 3 * users + 2 * len(kept)
    assert redis.hlen(key("unique")) == users + 2 * len(kept)


async def _nothing() -> bool:
    return False
