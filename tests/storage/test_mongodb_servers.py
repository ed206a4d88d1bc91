"""What a server of MongoDB may be besides gone: no replica set, one that knows us not, one that has lost the schema."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from urllib.parse import quote

import pytest
from pymongo import AsyncMongoClient

from adapters.mongodb.database import Transaction
from adapters.mongodb.schema import USERS
from adapters.mongodb.storage import MongoStorage
from adapters.storage_contract.examples import a_credential, a_post, a_user, an_email, renamed
from adapters.storage_contract.steps import add, everything, outcomes, save, stored_user
from domain.errors import EmailTaken, IdTaken, StorageNotPrepared, StorageUnavailable, TooBusy, UserNotFound
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
    post = a_post(author)
    await add(storage, taken, author, post)
    before = await everything(storage)
    same_email, same_post, orphan = a_user(email=taken.email), a_post(author, id=post.id), a_post(a_user())
    with pytest.raises(UserNotFound):
        await add(storage, orphan, same_email, same_post)
    with pytest.raises(IdTaken):
        await add(storage, a_post(author), same_post, same_email, orphan)
    with pytest.raises(EmailTaken):
        await add(storage, a_user(email=an_email("new@example.org")), same_email, orphan, same_post)
    assert await everything(storage) == before


@pytest.mark.parametrize(
    ("collection", "wanted"),
    [
        ("users", {"email_key": "a"}),
        ("users", {"username_key": "a"}),
        ("users", {"$or": [{key: {"$gte": "a", "$lt": "b"}} for key in ("name_key", "email_key", "username_key")]}),
        ("users", {"email_key": {"$in": ["a", "b"]}}),
        ("posts", {"author_id": "a", "_id": {"$gt": "a"}}),
    ],
)
async def test_every_query_has_an_index(
    storage: MongoStorage, url: str, collection: str, wanted: dict[str, object]
) -> None:
    async with AsyncMongoClient[dict[str, object]](url) as server:
        plan = await server.get_default_database()[collection].find(wanted).sort("_id").limit(10).explain()
    assert "IXSCAN" in str(plan["queryPlanner"])
    assert "COLLSCAN" not in str(plan["queryPlanner"])
