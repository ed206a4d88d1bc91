"""What version 1 of the schema has left is brought up to date by `prepare`, and by it alone."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

import pytest

from adapters.redis.place import Place
from adapters.redis.scripts import FIRST_MARK, MARK, PREPARE
from adapters.redis.server import Server
from adapters.storage_contract.examples import a_credential, a_full_user, a_post, a_session, a_user, renamed
from adapters.storage_contract.steps import add, remove, save, stored
from domain.credential import CREDENTIALS
from domain.errors import StorageNotPrepared
from domain.post import POSTS
from domain.storage import Storage
from domain.user import Role, User
from tests.servers.databases import Databases
from tests.servers.redis import client
from tests.storage.served_contract import opened

USERS: Final = 2_500
"""More than one portion of them."""

ANN: Final = (
    '[7,"ann","ann@example.org",null,"01900000-0000-7000-8000-000000000001",'
    '"Ann@example.org","Ann",null,null,"admin",true,1795206960123,1795206960124]'
)
"""A record as version 1 wrote it."""

GO_ON: Final = "return tonumber(redis.call('GET', KEYS[1]) or 0) < tonumber(ARGV[1]) and 'no' or 'yes'"
"""How version 1 tells whether it may read and write."""


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
    async with opened(url) as storage:
        yield storage


@pytest.fixture
async def users(url: str, storage: Storage, redis: Any) -> Sequence[User]:
    """Users as version 1 left them, every hundredth of them an active admin."""
    users = [a_full_user(), *(a_user() for _ in range(USERS))]
    users = [replace(user, role=Role.ADMIN) if place % 100 == 99 else user for place, user in enumerate(users)]
    await storage.prepare()
    await add(storage, *users)
    await add(storage, a_post(users[0]), a_credential(users[0]))
    key = Place.parse(url).key
    redis.delete(key(MARK), key("active-admins"))
    redis.set(key(FIRST_MARK), 1)
    return users


async def test_a_record_of_version_1_is_understood(url: str, storage: Storage, redis: Any) -> None:
    key, id_ = Place.parse(url).key, ANN.split('"')[5]
    redis.set(key(FIRST_MARK), 1)
    redis.hset(key("users"), id_, ANN)
    redis.hset(key("emails"), "ann@example.org", id_)
    redis.zadd(key("user-ids"), {id_: 0})
    redis.zadd(key("search"), {f"\0\0ann\0{id_}": 0, f"\0\3ann@example.org\0{id_}": 0})
    await storage.prepare()
    (ann,) = await storage.unit_of_work().users.active_admins(limit=10)
    assert (ann.id, ann.name, ann.version) == (id_, "Ann", 7)
    session = a_session(ann)
    await add(storage, session)
    await remove(storage, ann)
    assert await stored(storage, session) is None
    assert set(redis.keys(key("*"))) == {key(MARK).encode(), key(FIRST_MARK).encode()}


async def test_what_version_1_left_is_not_prepared_until_it_is_upgraded(
    storage: Storage, users: Sequence[User]
) -> None:
    with pytest.raises(StorageNotPrepared):
        await storage.ping()
    with pytest.raises(StorageNotPrepared):
        await save(storage, renamed(users[0], "Too early"))
    await storage.prepare()
    await storage.ping()
    unit = storage.unit_of_work()
    assert list(await unit.users.page(limit=USERS + 1)) == users
    assert await unit.records(POSTS).count(owner=users[0].id) == 1
    assert await unit.records(CREDENTIALS).get(users[0].id) is not None
    assert await _admins(storage) == _admins_of(users)


async def test_an_upgrade_that_was_broken_off_is_not_prepared_and_can_be_repeated(
    url: str, storage: Storage, users: Sequence[User]
) -> None:
    server = Server(Place.parse(url))
    assert await server.read(PREPARE, "-"), "there is more to do"
    await server.close()
    with pytest.raises(StorageNotPrepared):
        await storage.ping()
    await storage.prepare()
    assert await _admins(storage) == _admins_of(users)


async def test_several_upgrade_at_once_while_others_wait_to_write(
    url: str, storage: Storage, users: Sequence[User]
) -> None:
    demoted = [replace(user, role=Role.MEMBER, version=user.version + 1) for user in _admins_of(users)[::2]]
    async with opened(url) as another:
        await asyncio.gather(
            *(client.prepare() for client in (storage, another) * 3),
            *(_save_as_soon_as_prepared(another, user) for user in demoted),
        )
    assert await _admins(storage) == _admins_of(users)[1::2]


async def test_preparing_again_looks_at_nobody(url: str, storage: Storage, users: Sequence[User], redis: Any) -> None:
    await storage.prepare()
    redis.delete(Place.parse(url).key("active-admins"))
    await storage.prepare()
    assert await _admins(storage) == []


async def test_version_1_does_not_go_on_once_an_upgrade_has_begun(url: str, storage: Storage, redis: Any) -> None:
    first_mark = Place.parse(url).key(FIRST_MARK)
    redis.set(first_mark, 1)
    assert redis.eval(GO_ON, 1, first_mark, 1) == b"yes"
    await storage.prepare()
    assert redis.eval(GO_ON, 1, first_mark, 1) == b"no"
    assert not redis.set(first_mark, 1, nx=True), "which is how it prepared"


async def _save_as_soon_as_prepared(storage: Storage, user: User) -> None:
    while True:
        try:
            await save(storage, user)
        except StorageNotPrepared:
            await asyncio.sleep(0)
        else:
            return


async def _admins(storage: Storage) -> Sequence[User]:
    return list(await storage.unit_of_work().users.active_admins(limit=USERS))


def _admins_of(users: Sequence[User]) -> Sequence[User]:
    return [user for user in users if user.role is Role.ADMIN and user.active]
