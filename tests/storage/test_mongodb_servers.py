"""Unsuitable MongoDB servers: not a replica set, wrong credentials, a lost schema."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final
from urllib.parse import quote

import pytest
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase

from adapters.mongodb.database import Transaction
from adapters.mongodb.removals import Purge
from adapters.mongodb.schema import USERS
from adapters.mongodb.storage import MongoStorage
from adapters.purging import TASK_NAME, BackgroundPurge
from adapters.storage_contract.admins import an_admin
from adapters.storage_contract.examples import (
    a_credential,
    a_full_user,
    a_post,
    a_prefix,
    a_record,
    a_session,
    a_user,
    an_email,
    at_version,
    changed,
    refreshed,
    renamed,
    some_failures,
)
from adapters.storage_contract.samples import CONTRACT_TYPES, SAMPLES, Sample, SerialTaken
from adapters.storage_contract.steps import (
    StorageContents,
    Stored,
    add,
    assert_same,
    outcomes,
    read_all,
    remove,
    save,
    stored,
    stored_user,
)
from domain.errors import (
    DomainError,
    EmailTaken,
    IdTaken,
    StaleVersion,
    StorageNotPrepared,
    StorageUnavailable,
    TooBusy,
    UserNotFound,
)
from domain.post import POSTS, Post
from domain.record_types import RECORD_TYPES
from domain.records import RecordType
from domain.sign_in_failures import SIGN_IN_FAILURES
from domain.user import User
from tests.servers.databases import Databases, server_kind
from tests.servers.mongodb import StandaloneMongodbProcess
from tests.servers.process import ServerProcess
from tests.storage.database_contract import connected

NOW: Final = datetime(2031, 1, 1, tzinfo=UTC)
MANY: Final = 1_001  # records of one type, more than a commit deletes
NOT_OURS: Final = ("system.profile", "schema.version")


@asynccontextmanager
async def opened_for(url: str, record_types: Sequence[RecordType[Any]]) -> AsyncIterator[MongoStorage]:
    storage = MongoStorage(url, record_types)
    try:
        yield storage
    finally:
        await storage.close()


@pytest.fixture
def url(databases: Databases) -> Iterator[str]:
    with databases.fresh("mongodb") as url:
        yield url


@pytest.fixture
async def storage(url: str) -> AsyncIterator[MongoStorage]:
    async with connected(url) as storage:
        assert isinstance(storage, MongoStorage)
        await storage.prepare()
        yield storage


@pytest.fixture
def standalone(databases: Databases) -> Iterator[ServerProcess]:
    with StandaloneMongodbProcess(databases.own_server("mongodb").programs) as server:
        yield server


async def test_a_server_that_is_not_a_replica_set_is_reported(standalone: ServerProcess) -> None:
    async with connected(server_kind("mongodb").create(standalone.url)) as storage:
        for call in (storage.prepare, storage.ping, lambda: add(storage, a_user())):
            with pytest.raises(StorageUnavailable, match=r"rs\.initiate"):
                await call()


async def test_a_wrong_password_is_reported_without_being_repeated(url: str) -> None:
    before, _, after = url.partition("@")
    name = before.rpartition(":")[0]
    async with connected(f"{name}:{quote('wrong secret')}@{after}") as storage:
        for call in (storage.prepare, storage.ping, lambda: add(storage, a_user())):
            with pytest.raises(StorageUnavailable, match="the user or the password") as refusal:
                await call()
            assert "secret" not in str(refusal.value)


async def test_a_missing_privilege_is_reported(storage: MongoStorage, url: str) -> None:
    async with AsyncMongoClient[dict[str, object]](url) as server:
        name = server.get_default_database().name
        await server.admin.command("createUser", name, pwd="secret", roles=[{"role": "read", "db": name}])
        try:
            after = url.partition("@")[2]
            async with connected(f"mongodb://{name}:secret@{after}") as reader:
                await reader.ping()
                with pytest.raises(StorageUnavailable, match="privilege"):
                    await add(reader, a_user())
        finally:
            await server.admin.command("dropUser", name)


async def test_a_schema_that_was_dropped_is_noticed_by_the_next_ping(storage: MongoStorage, url: str) -> None:
    async with AsyncMongoClient[dict[str, object]](url) as server:
        await server.drop_database(server.get_default_database().name)
    with pytest.raises(StorageNotPrepared):
        await storage.ping()
    with pytest.raises(StorageNotPrepared):
        await add(storage, a_user())


async def test_a_schema_of_a_newer_version_is_left_alone(storage: MongoStorage, url: str) -> None:
    async with AsyncMongoClient[dict[str, object]](url) as server:
        database = server.get_default_database()
        await database["schema.version"].update_one({}, {"$set": {"version": 1_000}})
        await database[USERS.name].drop_indexes()
        await storage.prepare()
        await storage.ping()
        assert set(await database[USERS.name].index_information()) == {"_id_"}


async def test_a_commit_that_is_cancelled_in_the_middle_blocks_no_other(storage: MongoStorage) -> None:
    user, other = a_user(), a_user()
    await add(storage, user, other)
    in_the_middle, go_on = asyncio.Event(), asyncio.Event()

    async def work(transaction: Transaction) -> None:
        change = {"$set": {"name": "Half-way"}}
        await transaction.collection(USERS.name).update_one({"_id": str(user.id)}, change, session=transaction.session)
        in_the_middle.set()
        await go_on.wait()
        raise EmailTaken

    commit = asyncio.create_task(storage.database.write(work))
    await in_the_middle.wait()
    commit.cancel()
    with pytest.raises(asyncio.CancelledError):
        await commit
    go_on.set()
    await save(storage, renamed(user, "Renamed"))
    assert await stored_user(storage, user) == renamed(user, "Renamed")


async def test_a_commit_that_keeps_losing_until_its_timeout_reports_that_nothing_was_applied(
    storage: MongoStorage,
) -> None:
    user, other = a_user(), a_user()
    await add(storage, user, other)
    in_the_middle, go_on = asyncio.Event(), asyncio.Event()

    async def work(transaction: Transaction) -> None:
        change = {"$set": {"name": "Half-way"}}
        await transaction.collection(USERS.name).update_one({"_id": str(user.id)}, change, session=transaction.session)
        in_the_middle.set()
        await go_on.wait()
        raise EmailTaken

    slow = asyncio.create_task(storage.database.write(work))
    await in_the_middle.wait()
    with pytest.raises(TooBusy):
        await save(storage, renamed(user, "Renamed"), renamed(other, "Renamed"))
    go_on.set()
    with pytest.raises(EmailTaken):
        await slow
    assert await stored_user(storage, user) == user
    assert await stored_user(storage, other) == other


async def test_indexes_that_are_missing_are_noticed_by_the_next_ping(storage: MongoStorage, url: str) -> None:
    async with AsyncMongoClient[dict[str, object]](url) as server:
        await server.get_default_database()[USERS.name].drop_indexes()
    with pytest.raises(StorageNotPrepared):
        await storage.ping()
    await storage.prepare()
    await storage.ping()


async def test_a_place_that_was_prepared_for_fewer_types_is_prepared_for_a_further_one(url: str) -> None:
    user = a_user()
    async with opened_for(url, RECORD_TYPES) as before, opened_for(url, CONTRACT_TYPES) as after:
        await before.prepare()
        await add(before, user, a_post(user))
        sample = a_record(SAMPLES, user)
        calls: list[Callable[[], Awaitable[object]]] = [
            after.ping,
            partial(stored_user, after, user),
            partial(add, after, sample),
        ]
        for call in calls:
            with pytest.raises(StorageNotPrepared):
                await call()
        await after.prepare()
        await after.ping()
        await before.ping()
        await add(after, sample)
        with pytest.raises(SerialTaken):
            await add(after, replace(sample, code="another one", label=None))


async def test_commits_interrupted_by_a_hanging_server_block_no_other_once_it_resumes(databases: Databases) -> None:
    with databases.own_server("mongodb") as server:
        async with connected(server_kind("mongodb").create(server.url)) as storage:
            await storage.prepare()
            users = [a_user() for _ in range(4)]
            pairs = [(user, a_credential(user)) for user in users]  # each pair takes a transaction
            await asyncio.gather(*(storage.ping() for _ in users))  # gives each commit a connection
            server.pause()
            try:
                assert set(await outcomes([add(storage, *pair) for pair in pairs])) <= {StorageUnavailable, TooBusy}
            finally:
                server.resume()
            assert await outcomes([add(storage, *pair) for pair in pairs]) == [None] * len(users)


async def test_of_several_errors_in_one_commit_the_first_by_staging_is_raised(storage: MongoStorage) -> None:
    taken, author = a_user(), a_user()
    post, session, failures, sample = a_post(author), a_session(author), some_failures(), a_record(SAMPLES, author)
    await add(storage, taken, author, post, session, failures, sample)
    before = await read_all(storage)
    same_email, same_post, orphan = a_user(email=taken.email), a_post(author, id=post.id), a_post(a_user())
    same_session, same_key = a_session(author, id=session.id), some_failures(key=failures.key)
    same_serial = replace(a_record(SAMPLES, author), serial=sample.serial)
    additions: Sequence[tuple[Sequence[Stored], type[DomainError]]] = (
        ((orphan, same_email, same_post), UserNotFound),
        ((a_post(author), same_post, same_email, orphan), IdTaken),
        ((a_user(email=an_email("new@example.org")), same_email, orphan, same_post), EmailTaken),
        ((same_key, same_email), IdTaken),
        ((a_session(author), a_session(a_user()), same_session), UserNotFound),
        ((a_post(author), same_serial, same_session, orphan), SerialTaken),
    )
    for records, error in additions:
        with pytest.raises(error):
            await add(storage, *records)
    saves: Sequence[tuple[Sequence[Stored], type[DomainError]]] = (
        ((at_version(changed(SAMPLES, sample), 9), replace(a_record(SAMPLES, author), version=2)), StaleVersion),
        ((renamed(taken, "Taken"), replace(renamed(author, "Author"), email=taken.email)), EmailTaken),
    )
    for records, error in saves:
        with pytest.raises(error):
            await save(storage, *records)
    assert await read_all(storage) == before


async def test_a_value_that_is_taken_for_one_of_several_saves_is_refused(storage: MongoStorage) -> None:
    user, other = a_user(), a_user()
    await add(storage, user, other)
    taken = replace(renamed(user, "Second"), email=other.email)
    with pytest.raises(EmailTaken):
        await save(storage, taken, replace(renamed(taken, "Third"), email=user.email))
    assert await stored_user(storage, user) == user


async def test_a_record_of_an_owner_who_was_removed_in_the_same_commit_is_refused(storage: MongoStorage) -> None:
    owner = a_user()
    await add(storage, owner)
    unit = storage.unit_of_work()
    unit.users.save(renamed(owner, "Renamed"))
    unit.users.remove(renamed(owner, "Renamed"))
    unit.records(POSTS).add(a_post(owner))
    with pytest.raises(UserNotFound):
        await unit.commit()
    assert await stored_user(storage, owner) == owner


async def test_names_in_mappings_that_mean_something_to_mongodb_come_back(storage: MongoStorage) -> None:
    owner = a_user()
    names = {name: name for name in ("$ref", "$id", "$db", "$set", "$$", "$", "a.b", ".", "_id", "", "__proto__")}
    sample = replace(a_record(SAMPLES, owner), attributes=names, parts={"$ref": b"", "$id": b"$"})
    await add(storage, owner, sample)
    assert_same(await stored(storage, sample), sample)
    after = replace(sample, version=2, history={"$ref": (None,), "$id": ()})
    await save(storage, after, renamed(owner, "Renamed"))
    assert_same(await stored(storage, sample), after)


async def plans(database: AsyncDatabase[dict[str, Any]], reads: Sequence[Awaitable[object]]) -> list[dict[str, Any]]:
    """Return what the server's profiler records about some reads, run one after another."""
    await database.command("profile", 2)
    for read in reads:
        await read
    await database.command("profile", 0)
    ours = {"op": {"$in": ["query", "command"]}, "ns": {"$nin": [f"{database.name}.{name}" for name in NOT_OURS]}}
    return await database["system.profile"].find({**ours, "planSummary": {"$exists": True}}).sort("ts").to_list()


async def test_every_read_is_looked_up_in_an_index(storage: MongoStorage, url: str) -> None:
    await storage.ping()
    unit, user = storage.unit_of_work(), a_full_user()
    assert user.username
    reads: list[Awaitable[object]] = [
        unit.users.get(user.id),
        unit.users.find_by_email(user.email),
        unit.users.find_by_emails([user.email]),
        unit.users.find_by_username(user.username),
        unit.users.page(limit=9),
        unit.users.page(limit=9, after=user.id, descending=True),
        unit.users.count(),
        unit.users.count(a_prefix("a")),
        unit.users.search(a_prefix("a"), limit=9),
        unit.users.active_admins(limit=9),
    ]
    for record_type in CONTRACT_TYPES:
        records = unit.records(record_type)
        reads += [records.get("a"), records.page(limit=9), records.page(limit=9, after="a", descending=True)]
        reads += [records.count(), *(records.find(field, "a") for field in record_type.unique)]
        if record_type.owner:
            reads += [records.count(owner=user.id), records.page(owner=user.id, after="a", limit=9)]
        if record_type.due:
            reads.append(records.due(NOW, limit=9))
    async with AsyncMongoClient[dict[str, Any]](url) as server:
        found = await plans(server.get_default_database(), reads)
    assert len(found) >= len(reads)
    for plan in found:
        assert "COLLSCAN" not in plan["planSummary"], plan
        assert not plan.get("hasSortStage"), plan


async def test_reads_of_a_few_among_many_look_at_these_few(storage: MongoStorage, url: str) -> None:
    owner = a_user()
    await add(storage, owner, an_admin(), an_admin(), *(a_user() for _ in range(20)))
    await add(storage, *(some_failures() for _ in range(20)), *(a_record(SAMPLES, owner) for _ in range(20)))
    await add(storage, *(replace(a_record(SAMPLES, owner), due_at=None) for _ in range(20)))
    unit = storage.unit_of_work()
    past = datetime(2000, 1, 1, tzinfo=UTC)
    reads: list[Awaitable[object]] = [
        unit.users.active_admins(limit=9),
        unit.records(SIGN_IN_FAILURES).due(past, limit=9),
        unit.records(SAMPLES).due(past, limit=9),
    ]
    async with AsyncMongoClient[dict[str, Any]](url) as server:
        found = await plans(server.get_default_database(), reads)
    assert [plan["docsExamined"] for plan in found] == [2, 0, 1]  # the marker


async def test_a_commit_of_one_session_or_one_key_takes_no_transaction(storage: MongoStorage, url: str) -> None:
    user, failures = a_user(), some_failures()
    session = a_session(user)
    async with AsyncMongoClient[dict[str, object]](url) as server:

        async def transactions() -> object:
            return (await server.admin.command("serverStatus"))["transactions"]["totalStarted"]

        none = await transactions()
        await add(storage, user, session)
        one = await transactions()
        await save(storage, refreshed(session))
        await remove(storage, refreshed(session))
        await add(storage, failures)
        await save(storage, replace(failures, version=2))
        await remove(storage, replace(failures, version=2))
        assert none != one == await transactions()


async def remove_hiding(storage: MongoStorage, monkeypatch: pytest.MonkeyPatch, *doomed: User) -> None:
    """Remove users with a storage that does not purge in the background, once the purge of its first use has ended."""
    for task in asyncio.all_tasks():
        if task.get_name() == TASK_NAME:
            await task
    with monkeypatch.context() as patch:
        patch.setattr(BackgroundPurge, "wake", lambda _: None)
        await remove(storage, *doomed)


async def records_there(url: str, collection: str) -> int:
    async with AsyncMongoClient[dict[str, Any]](url) as server:
        return await server.get_default_database()[collection].count_documents({"_id": {"$gt": ""}})


async def test_more_records_than_a_commit_deletes_are_hidden_by_it_and_deleted_by_the_next_process(
    storage: MongoStorage, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    doomed, other = a_user(), a_user()
    posts = [a_post(doomed) for _ in range(MANY)]
    samples = [replace(a_record(SAMPLES, doomed), due_at=NOW) for _ in range(MANY)]
    kept: list[Any] = [a_post(other), replace(a_record(SAMPLES, other), due_at=NOW)]
    credential, session = a_credential(doomed), a_session(doomed)
    await add(storage, doomed, other, *posts, *samples, *kept, credential, session)
    await remove_hiding(storage, monkeypatch, doomed)
    assert await records_there(url, "credentials") == await records_there(url, "sessions") == 0
    with monkeypatch.context() as patch:
        patch.setattr(BackgroundPurge, "wake", lambda _: None)
        async with opened_for(url, CONTRACT_TYPES) as another:
            for client in (another, storage, another):
                await assert_hidden(client, doomed, posts[5], samples[5], kept)
    assert await records_there(url, "posts") == MANY + 1
    async with opened_for(url, CONTRACT_TYPES) as another:
        await another.ping()
        async with asyncio.timeout(60):
            while await records_there(url, USERS.name) > 1:  # noqa: ASYNC110 - nothing tells when it is done
                await asyncio.sleep(0.05)
        assert [await records_there(url, name) for name in ("posts", "samples")] == [1, 1]
        for client in (storage, another):
            assert await read_all(client) == StorageContents.of(other, *kept)
        await add(storage, doomed, posts[0], samples[0])
        assert await read_all(another) == StorageContents.of(doomed, other, posts[0], samples[0], *kept)


async def assert_hidden(storage: MongoStorage, owner: User, post: Post, sample: Sample, kept: Sequence[Any]) -> None:
    unit = storage.unit_of_work()
    assert await read_all(storage) == StorageContents.of(*await unit.users.page(limit=9), *kept)
    assert await unit.users.get(owner.id) is None
    assert await unit.users.count() == 1
    both: Sequence[tuple[RecordType[Any], Any]] = ((POSTS, post), (SAMPLES, sample))
    for record_type, hidden in both:
        records = unit.records(record_type)
        assert await records.get(record_type.key_of(hidden)) is None
        for after in (None, record_type.key_of(hidden)):
            for options in ({}, {"skip": 1}, {"descending": True}, {"descending": True, "skip": 1}):
                assert list(await records.page(owner=owner.id, after=after, limit=2, **options)) == []
        assert await records.count(owner=owner.id) == 0
        assert await records.count() == 1
        following = changed(record_type, hidden)
        for alone in (True, False):
            for stage, record in ((records.save, following), (records.remove, hidden), (records.require, hidden)):
                stage(record)
                if not alone:
                    unit.users.add(a_user())
                with pytest.raises(StaleVersion):
                    await unit.commit()
    assert await unit.records(SAMPLES).find("serial", sample.serial) is None
    assert list(await unit.records(SAMPLES).due(NOW, limit=9)) == kept[1:]
    with pytest.raises(UserNotFound):
        await add(storage, a_post(owner))
    for added in ([owner], [a_user(), owner]):
        with pytest.raises(TooBusy):
            await add(storage, *added)


async def test_a_record_is_written_before_the_removal_of_its_owner_or_not_at_all(
    storage: MongoStorage, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    doomed, other = a_user(), a_user()
    posts = [a_post(doomed) for _ in range(MANY)]
    await add(storage, doomed, other, *posts)
    has_begun, is_removed = asyncio.Event(), asyncio.Event()
    written: list[Post] = []

    async def write(client: MongoStorage, mine: Sequence[Post]) -> None:
        for post in mine:
            was_removed, note = is_removed.is_set(), a_post(other)
            unit = client.unit_of_work()
            unit.records(POSTS).save(replace(post, version=2))
            unit.records(POSTS).add(note)
            try:
                await unit.commit()
            except StaleVersion:
                return
            assert not was_removed
            written.append(note)
            has_begun.set()

    async def remove_doomed() -> None:
        await has_begun.wait()
        await remove_hiding(storage, monkeypatch, doomed)
        is_removed.set()

    async with opened_for(url, CONTRACT_TYPES) as another:
        clients = [storage, another, another]
        shares = [posts[nth :: len(clients)] for nth in range(len(clients))]
        writers = [write(client, share) for client, share in zip(clients, shares, strict=True)]
        await asyncio.gather(remove_doomed(), *writers)
    assert await read_all(storage) == StorageContents.of(other, *written)


async def test_a_process_leaves_to_another_what_that_one_is_deleting(
    storage: MongoStorage, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    doomed = a_user()
    await add(storage, doomed, *(a_post(doomed) for _ in range(MANY)))
    await remove_hiding(storage, monkeypatch, doomed)
    with monkeypatch.context() as patch:
        patch.setattr(BackgroundPurge, "wake", lambda _: None)
        first, second = Purge(storage.database), Purge(storage.database)
        assert await first.delete_batch()
        with pytest.raises(TooBusy):
            await second.delete_batch()
        async with AsyncMongoClient[dict[str, Any]](url) as server:
            ended = {"$set": {"lease.ends_at": datetime(2020, 1, 1, tzinfo=UTC)}}
            await server.get_default_database()[USERS.name].update_one({"_id": doomed.id}, ended)
        while await second.delete_batch():
            pass
        assert not await first.delete_batch()
