"""MongoDB with three members, one of which takes over."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager

import pytest

from adapters.mongodb.schema import USERS
from adapters.mongodb.schema import Database as DriverDatabase
from adapters.mongodb.storage import MongoStorage
from adapters.storage_contract.examples import a_full_user, a_post, a_user
from adapters.storage_contract.steps import add, outcomes, read_all, stored_user
from domain.errors import StorageUnavailable, TooBusy
from domain.storage import Storage
from tests.servers.mongodb import KIND
from tests.servers.mongodb_replica_set import MongodbMember, MongodbReplicaSet
from tests.servers.process import wait_until
from tests.storage.database_contract import connected, connections_in_use
from tests.storage.failovers import added_at_last, added_until, succeeded_at_last


@pytest.fixture(scope="module")
def members() -> Iterator[MongodbReplicaSet]:
    with MongodbReplicaSet(has_failpoints=True) as members:
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


async def test_a_new_primary_answers_no_read_while_its_snapshots_lack_commits(
    members: MongodbReplicaSet, storage: Storage
) -> None:
    user = a_user()
    with old_snapshots(members):
        await add(storage, user)
        members.elect_another_primary()
        with pytest.raises(StorageUnavailable):
            await stored_user(storage, user)
    assert await succeeded_at_last(lambda: stored_user(storage, user)) == user


async def test_a_read_is_repeated_when_a_primary_is_elected_during_it(
    members: MongodbReplicaSet, storage: Storage
) -> None:
    user = a_user()
    answers: list[object] = []
    answered = asyncio.Event()

    async def read_after_an_election(database: DriverDatabase) -> object:
        if not answers:
            await asyncio.to_thread(members.elect_another_primary)
        answers.append(await database[USERS.name].find_one({"_id": str(user.id)}))
        answered.set()
        return answers[-1]

    assert isinstance(storage, MongoStorage)
    with old_snapshots(members):
        await add(storage, user)
        reading = asyncio.create_task(storage.database.run(read_after_an_election))
        await answered.wait()
        assert answers == [None]  # the new primary does not know yet that a majority has the user
    assert await reading is not None


@contextmanager
def old_snapshots(members: MongodbReplicaSet) -> Iterator[None]:
    """Let secondaries replicate and vote but keep their snapshots, as a lagging commit point does."""
    secondaries = members.secondaries()
    for member in secondaries:
        member.set_failpoint("disableSnapshotting", on=True)
    try:
        yield
    finally:
        for member in secondaries:
            member.set_failpoint("disableSnapshotting", on=False)
        members.primary().run_as_admin("appendOplogNote", data={})  # a snapshot advances with the next entry
