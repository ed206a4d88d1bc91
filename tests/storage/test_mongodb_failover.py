"""MongoDB with three members, one of which takes over."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from adapters.storage_contract.examples import a_full_user, a_post, a_user
from adapters.storage_contract.steps import add, outcomes, read_all, stored_user
from domain.errors import StorageUnavailable, TooBusy
from domain.storage import Storage
from tests.servers.mongodb import KIND
from tests.servers.mongodb_replica_set import MongodbMember, MongodbReplicaSet
from tests.servers.process import wait_until
from tests.storage.database_contract import connected, connections_in_use
from tests.storage.failovers import added_at_last, added_until


@pytest.fixture(scope="module")
def members() -> Iterator[MongodbReplicaSet]:
    with MongodbReplicaSet() as members:
        yield members


@pytest.fixture
async def storage(members: MongodbReplicaSet) -> AsyncIterator[Storage]:
    members.wait_until_complete()
    url = KIND.create(members.url)
    async with connected(url) as storage:
        await storage.prepare()
        yield storage
    KIND.drop(url)


@pytest.mark.parametrize("fault", [MongodbMember.kill, pytest.param(MongodbMember.pause, marks=pytest.mark.cluster)])
async def test_another_member_takes_over_with_all_that_was_answered(
    members: MongodbReplicaSet, storage: Storage, fault: Callable[[MongodbMember], None]
) -> None:
    kept = a_full_user()
    await add(storage, kept, a_post(kept))
    await asyncio.gather(*(read_all(storage) for _ in range(20)))
    stop = asyncio.Event()
    writers = [asyncio.create_task(added_until(stop, storage)) for _ in range(4)]
    await asyncio.sleep(0.5)
    lost = members.primary()
    fault(lost)
    newcomer = await added_at_last(storage)
    stop.set()
    answered = [user for users in await asyncio.gather(*writers) for user in users]
    lost.resume()
    if not lost.is_running:
        lost.start()
    for user in (kept, newcomer, *answered):
        assert await stored_user(storage, user) == user
    assert answered
    assert connections_in_use(storage) == 0


@pytest.mark.cluster
async def test_of_commits_that_a_majority_lacked_none_is_lost_that_was_answered(
    members: MongodbReplicaSet, storage: Storage
) -> None:
    kept, users = a_user(), [a_user() for _ in range(20)]
    await add(storage, kept)
    primary, secondaries = members.primary(), members.secondaries()
    for secondary in secondaries:
        secondary.kill()
    adding = asyncio.ensure_future(outcomes([add(storage, user, a_post(user)) for user in users]))
    await asyncio.sleep(1)
    primary.kill()  # with commits that no other member has
    for secondary in secondaries:
        secondary.start()
    newcomer = await added_at_last(storage)
    results = await adding
    primary.start()
    wait_until((primary.directory / "data" / "rollback").exists)
    members.wait_until_complete()
    assert set(results) <= {None, StorageUnavailable, TooBusy}
    for user, result in zip((kept, newcomer, *users), (None, None, *results), strict=True):
        if result is not StorageUnavailable:  # which leaves it open
            assert await stored_user(storage, user) == (user if result is None else None)
