"""What a server of MongoDB may be besides gone: no replica set, one that knows us not, one that has lost the schema."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from pymongo import AsyncMongoClient

from adapters.mongodb.database import Transaction
from adapters.mongodb.schema import ACTIVE_ADMINS, SESSIONS, SIGN_IN_FAILURES, USERS
from adapters.mongodb.storage import MongoStorage
from adapters.storage_contract.admins import an_admin
from adapters.storage_contract.examples import (
    a_credential,
    a_post,
    a_session,
    a_user,
    an_email,
    refreshed,
    renamed,
    some_failures,
)
from adapters.storage_contract.steps import add, assert_same, everything, outcomes, remove, save, stored_user
from domain.errors import (
    EmailTaken,
    IdTaken,
    StaleVersion,
    StorageNotPrepared,
    StorageUnavailable,
    TooBusy,
    UserNotFound,
)
from tests.servers.databases import Databases, served_kind
from tests.servers.mongodb import StandaloneMongodbProcess
from tests.servers.process import ServerProcess
from tests.storage.served_contract import opened


@pytest.fixture
def url(databases: Databases) -> Iterator[str]:
    with databases.fresh("mongodb") as url:
        yield url


@pytest.fixture
async def storage(url: str) -> AsyncIterator[MongoStorage]:
    async with opened(url) as storage:
        assert isinstance(storage, MongoStorage)
        await storage.prepare()
        yield storage


@pytest.fixture
def standalone(databases: Databases) -> Iterator[ServerProcess]:
    with StandaloneMongodbProcess(databases.own_server("mongodb").programs) as server:
        yield server


async def test_a_server_that_is_no_replica_set_is_told_so(standalone: ServerProcess) -> None:
    async with opened(served_kind("mongodb").create(standalone.url)) as storage:
        for call in (storage.prepare, storage.ping, lambda: add(storage, a_user())):
            with pytest.raises(StorageUnavailable, match=r"rs\.initiate"):
                await call()


async def test_a_wrong_password_is_told_without_it(url: str) -> None:
    before, _, after = url.partition("@")
    name = before.rpartition(":")[0]
    async with opened(f"{name}:{quote('wrong secret')}@{after}") as storage:
        for call in (storage.prepare, storage.ping, lambda: add(storage, a_user())):
            with pytest.raises(StorageUnavailable, match="the user or the password") as refusal:
                await call()
            assert "secret" not in str(refusal.value)


async def test_a_missing_privilege_is_told(storage: MongoStorage, url: str) -> None:
    async with AsyncMongoClient[dict[str, object]](url) as server:
        name = server.get_default_database().name
        await server.admin.command("createUser", name, pwd="secret", roles=[{"role": "read", "db": name}])
        try:
            after = url.partition("@")[2]
            async with opened(f"mongodb://{name}:secret@{after}") as reader:
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
        await database["schema"].update_one({}, {"$set": {"version": 1_000}})
        await database[USERS].drop_indexes()
        await storage.prepare()
        await storage.ping()
        assert set(await database[USERS].index_information()) == {"_id_"}


async def test_a_commit_that_is_cancelled_in_the_middle_holds_nobody_up(storage: MongoStorage) -> None:
    user, other = a_user(), a_user()
    await add(storage, user, other)
    in_the_middle, go_on = asyncio.Event(), asyncio.Event()

    async def work(transaction: Transaction) -> None:
        change = {"$set": {"name": "Half-way"}}
        await transaction.collection(USERS).update_one({"_id": str(user.id)}, change, session=transaction.session)
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


async def test_who_loses_to_others_until_the_time_is_up_is_told_that_nothing_was_applied(storage: MongoStorage) -> None:
    user, other = a_user(), a_user()
    await add(storage, user, other)
    in_the_middle, go_on = asyncio.Event(), asyncio.Event()

    async def work(transaction: Transaction) -> None:
        change = {"$set": {"name": "Half-way"}}
        await transaction.collection(USERS).update_one({"_id": str(user.id)}, change, session=transaction.session)
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
        await server.get_default_database()[USERS].drop_indexes()
    with pytest.raises(StorageNotPrepared):
        await storage.ping()
    await storage.prepare()
    await storage.ping()


async def test_a_store_that_the_first_version_prepared_is_upgraded(storage: MongoStorage, url: str) -> None:
    admin, member = an_admin(), a_user()
    post, credential = a_post(admin), a_credential(admin)
    await add(storage, member, admin, post, credential)
    async with AsyncMongoClient[dict[str, object]](url) as server:
        database = server.get_default_database()
        await database[SESSIONS].drop()
        await database[SIGN_IN_FAILURES].drop()
        await database[USERS].drop_index("role_1__id_1")
        await database["schema"].update_one({}, {"$set": {"version": 1}})
    session, failures = a_session(member), some_failures()
    async with opened(url) as upgraded:
        users = upgraded.unit_of_work().users
        for call in (upgraded.ping, lambda: users.active_admins(limit=9), lambda: add(upgraded, session, failures)):
            with pytest.raises(StorageNotPrepared):
                await call()
        await upgraded.prepare()
        await upgraded.ping()
        assert_same(tuple(await users.active_admins(limit=9)), (admin,))
        await add(upgraded, session, failures)
        await remove(upgraded, member)
        found = await everything(upgraded)
    assert (found.users, found.records["posts"], found.records["credentials"], found.records["sessions"]) == (
        [admin],
        [post],
        [credential],
        [],
    )


async def test_commits_that_a_hanging_server_had_begun_hold_nobody_up_once_it_goes_on(databases: Databases) -> None:
    with databases.own_server("mongodb") as server:
        async with opened(served_kind("mongodb").create(server.url)) as storage:
            await storage.prepare()
            users = [a_user() for _ in range(4)]
            pairs = [(user, a_credential(user)) for user in users]  # which take a transaction
            await asyncio.gather(*(storage.ping() for _ in users))  # so that each commit has a connection
            server.pause()
            try:
                assert set(await outcomes([add(storage, *pair) for pair in pairs])) <= {StorageUnavailable, TooBusy}
            finally:
                server.resume()
            assert await outcomes([add(storage, *pair) for pair in pairs]) == [None] * len(users)


async def test_of_several_errors_in_one_commit_the_first_by_staging_is_told(storage: MongoStorage) -> None:
    taken, author = a_user(), a_user()
    post, session, failures = a_post(author), a_session(author), some_failures()
    await add(storage, taken, author, post, session, failures)
    before = await everything(storage)
    same_email, same_post, orphan = a_user(email=taken.email), a_post(author, id=post.id), a_post(a_user())
    same_session, same_key = a_session(author, id=session.id), some_failures(key=failures.key)
    with pytest.raises(UserNotFound):
        await add(storage, orphan, same_email, same_post)
    with pytest.raises(IdTaken):
        await add(storage, a_post(author), same_post, same_email, orphan)
    with pytest.raises(EmailTaken):
        await add(storage, a_user(email=an_email("new@example.org")), same_email, orphan, same_post)
    with pytest.raises(IdTaken):
        await add(storage, same_key, same_email)
    with pytest.raises(UserNotFound):
        await add(storage, a_session(author), a_session(a_user()), same_session)
    assert await everything(storage) == before


@pytest.mark.parametrize(
    ("collection", "wanted"),
    [
        ("users", {"email_key": "a"}),
        ("users", {"username_key": "a"}),
        ("users", {"$or": [{key: {"$gte": "a", "$lt": "b"}} for key in ("name_key", "email_key", "username_key")]}),
        ("users", {"email_key": {"$in": ["a", "b"]}}),
        ("posts", {"author_id": "a", "_id": {"$gt": "a"}}),
        ("sessions", {"user_id": "a"}),
    ],
)
async def test_every_query_has_an_index(
    storage: MongoStorage, url: str, collection: str, wanted: dict[str, object]
) -> None:
    async with AsyncMongoClient[dict[str, object]](url) as server:
        plan = await server.get_default_database()[collection].find(wanted).sort("_id").limit(10).explain()
    assert "IXSCAN" in str(plan["queryPlanner"])
    assert "COLLSCAN" not in str(plan["queryPlanner"])


async def test_active_admins_and_expired_failures_are_looked_up_in_indexes_of_their_own(
    storage: MongoStorage, url: str
) -> None:
    await add(storage, an_admin(), an_admin(), *(a_user() for _ in range(20)))
    await add(storage, *(some_failures() for _ in range(20)))
    async with AsyncMongoClient[dict[str, Any]](url) as server:
        database = server.get_default_database()
        admins = await database[USERS].find(ACTIVE_ADMINS).sort("_id").limit(3).explain()
        expired = {"expires_at": {"$lte": datetime(2000, 1, 1, tzinfo=UTC)}}
        failures = await database[SIGN_IN_FAILURES].find(expired).limit(3).explain()
    assert (admins["executionStats"]["totalKeysExamined"], admins["executionStats"]["totalDocsExamined"]) == (2, 2)
    assert "'SORT'" not in str(admins["queryPlanner"]["winningPlan"])
    assert failures["executionStats"]["totalDocsExamined"] == 0


async def test_several_sessions_end_together_or_not_at_all(storage: MongoStorage) -> None:
    user = a_user()
    first, second = a_session(user), a_session(user)
    await add(storage, user, first, second)
    with pytest.raises(StaleVersion):
        await remove(storage, first, replace(second, version=9))
    assert (await everything(storage)).records["sessions"] == [first, second]
    await remove(storage, first, second)
    assert (await everything(storage)).records["sessions"] == []


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
