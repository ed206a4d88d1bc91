"""The cache in front of a storage in memory: what it may return, and how it fails."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from secrets import token_hex
from typing import Any, Final

import pytest

from adapters.cache.config import CacheConfig
from adapters.cache.storage import CachedStorage
from adapters.memory.storage import MemoryStorage
from adapters.storage_contract.examples import a_full_session, a_full_user, a_session, a_user, renamed
from adapters.storage_contract.faulty_proxy import Fault, FaultyProxy
from adapters.storage_contract.steps import add, remove, save, stored, stored_user
from domain.errors import StaleVersion, StorageUnavailable
from domain.session import SESSIONS
from tests.servers.choice import skip_unless_chosen
from tests.servers.databases import Databases, server_kind
from tests.servers.redis import client

MAX_SECONDS: Final = 30

pytestmark = pytest.mark.slow  # for Redis

Open = Callable[[Any], CachedStorage]


@pytest.fixture(scope="module")
def redis_url(databases: Databases) -> Iterator[str]:
    skip_unless_chosen("redis")
    with databases.fresh("redis") as url:
        yield url.partition("?")[0]


@pytest.fixture
def redis(redis_url: str) -> Iterator[Any]:
    with client(redis_url) as redis:
        yield redis


class Service:
    """A store, and processes that use it through one cache."""

    def __init__(self, url: str) -> None:
        self.store = MemoryStorage()
        self.namespace = token_hex(8)
        self.lookups: Counter[str] = Counter()
        self._url = url
        self._ends = AsyncExitStack()

    def process(self, store: Any = None, *, url: str | None = None) -> CachedStorage:
        storage = CachedStorage(
            store or self.store,
            CacheConfig.parse(url or self._url),
            self.namespace,
            (SESSIONS,),
            lambda outcome: self.lookups.update((outcome,)),
        )
        self._ends.push_async_callback(storage.close)
        return storage

    def keys(self, redis: Any) -> list[bytes]:
        return [key for key in redis.keys(f"userport:{self.namespace}:*") if b":generation" not in key]

    async def close(self) -> None:
        await self._ends.aclose()


@pytest.fixture
async def service(redis_url: str) -> AsyncIterator[Service]:
    service = Service(redis_url)
    yield service
    await service.close()


class Gate:
    """A store whose reads by id, or commits, stop halfway: after the work, before they return."""

    def __init__(self, store: Any, *calls: str) -> None:
        self._store = store
        self._calls = calls
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        return self._stopping(found) if name in self._calls else found

    def unit_of_work(self) -> Any:
        return self._same_gate(self._store.unit_of_work())

    @property
    def users(self) -> Any:
        return self._same_gate(self._store.users)

    def records(self, record_type: Any) -> Any:
        return self._same_gate(self._store.records(record_type))

    def _same_gate(self, inner: Any) -> "Gate":
        gate = Gate(inner, *self._calls)
        gate.reached, gate.opened = self.reached, self.opened
        return gate

    def _stopping(self, call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def stop(*arguments: Any) -> Any:
            result = await call(*arguments)
            self.reached.set()
            await self.opened.wait()
            return result

        return stop


async def test_what_one_process_has_read_another_one_reads_from_the_cache(service: Service) -> None:
    user = a_full_user()
    session = a_full_session(user)
    await add(service.store, user, session)
    for process in (service.process(), service.process()):
        assert await stored_user(process, user) == user
        assert await stored(process, session) == session
    assert service.lookups == {"miss": 2, "hit": 2}


async def test_what_was_read_before_a_commit_is_not_put_into_the_cache_after_it(service: Service) -> None:
    user = a_user()
    await add(service.store, user)
    gate = Gate(service.store, "get")
    slow, other = service.process(gate), service.process()
    reading = asyncio.create_task(stored_user(slow, user))
    await gate.reached.wait()
    await save(other, renamed(user, "Renamed"))
    gate.opened.set()
    assert await reading == user
    assert await stored_user(other, user) == renamed(user, "Renamed")


async def test_what_redis_forgets_during_a_commit_leaves_nothing_stale(service: Service, redis: Any) -> None:
    user = a_user()
    await add(service.store, user)
    reads, commits = Gate(service.store, "get"), Gate(service.store, "commit")
    old, writer = service.process(reads), service.process(commits)
    writing = asyncio.create_task(save(writer, renamed(user, "Renamed")))
    await commits.reached.wait()
    redis.unlink(*service.keys(redis))
    reading = asyncio.create_task(stored_user(old, user))
    await reads.reached.wait()
    commits.opened.set()
    await writing
    reads.opened.set()
    await reading
    assert service.keys(redis) == []


async def test_while_one_of_two_writers_commits_nothing_is_cached(service: Service, redis: Any) -> None:
    user = a_user()
    await add(service.store, user)
    gate = Gate(service.store, "commit")
    slow, other = service.process(gate), service.process()
    writing = asyncio.create_task(save(slow, renamed(user, "First")))
    await gate.reached.wait()
    await save(other, renamed(renamed(user, "First"), "Second"))
    await stored_user(other, user)
    assert service.lookups == {"bypass": 1}
    gate.opened.set()
    await writing
    assert service.keys(redis) == []
    await stored_user(other, user)
    assert service.lookups == {"bypass": 1, "miss": 1}


async def test_a_session_of_a_removed_user_is_never_returned(service: Service) -> None:
    user = a_user()
    session, pending = a_session(user), a_session(user)
    await add(service.store, user, session, pending)
    gate = Gate(service.store, "get")
    slow, other = service.process(gate), service.process()
    assert await stored(other, session) == session
    reading = asyncio.create_task(stored(slow, pending))
    await gate.reached.wait()
    await remove(other, user)
    assert await stored(other, session) is None
    gate.opened.set()
    assert await reading == pending  # it had begun before
    assert await stored(other, pending) is None
    await add(other, user)
    assert await stored(other, session) is None


async def test_a_commit_of_unknown_outcome_keeps_its_records_out_of_the_cache(service: Service, redis: Any) -> None:
    class Lost(Gate):
        async def commit(self) -> None:
            raise StorageUnavailable

        def _same_gate(self, inner: Any) -> "Lost":
            return Lost(inner)

    user = a_user()
    await add(service.store, user)
    process = service.process()
    await stored_user(process, user)
    with pytest.raises(StorageUnavailable):
        await save(service.process(Lost(service.store)), renamed(user, "Renamed"))
    await save(service.store, renamed(user, "Renamed"))  # by the server, later
    assert await stored_user(process, user) == renamed(user, "Renamed")
    (key,) = service.keys(redis)
    assert 0 < redis.pttl(key) <= 20_000


async def test_a_conflict_drops_what_it_was_based_on(service: Service) -> None:
    user, other = a_user(), a_user()
    await add(service.store, user, other)
    process = service.process()
    await stored_user(process, user)
    await save(service.store, renamed(user, "Renamed"))  # by a process without a cache
    stale = await stored_user(process, user)
    assert stale == user
    unit = process.unit_of_work()
    unit.users.require(stale)
    unit.users.save(renamed(other, "Renamed"))
    with pytest.raises(StaleVersion):
        await unit.commit()
    assert await stored_user(process, user) == renamed(user, "Renamed")


@pytest.mark.parametrize("value", [{"field": "value"}, b"\xff garbage", b"E0000000[]", b"half"])
async def test_what_is_no_entry_is_read_from_the_store_and_replaced_by_a_change(
    service: Service, redis: Any, value: Any
) -> None:
    user = a_user()
    await add(service.store, user)
    process = service.process()
    await stored_user(process, user)
    (key,) = service.keys(redis)
    entry = redis.getdel(key)
    if isinstance(value, dict):
        redis.hset(key, mapping=value)
    else:
        redis.set(key, entry[:-9] if value == b"half" else value)
    assert await stored_user(process, user) == user
    await save(process, renamed(user, "Renamed"))
    assert await stored_user(process, user) == renamed(user, "Renamed")
    assert service.lookups["hit"] == 0
    assert await stored_user(process, user) == renamed(user, "Renamed")
    assert service.lookups["hit"] == 1


async def test_nothing_stays_in_redis_for_long(service: Service, redis: Any) -> None:
    user = a_user()
    await add(service.store, user)
    await stored_user(service.process(), user)
    (key,) = service.keys(redis)
    assert 0 < redis.pttl(key) <= 1_500


async def test_storages_that_share_a_redis_do_not_mix(service: Service, redis_url: str) -> None:
    user = a_user()
    await add(service.store, user)
    assert await stored_user(service.process(), user) == user
    other = Service(redis_url)
    assert await stored_user(other.process(), user) is None
    await other.close()


async def test_calls_go_to_the_store_while_redis_fails_and_use_it_once_it_is_back(redis_url: str) -> None:
    async def check_fault(fault: Fault) -> None:
        service, user = Service(redis_url), a_user()
        await add(service.store, user)
        with FaultyProxy(server_kind("redis").endpoint(redis_url)) as proxy:
            process = service.process(url=server_kind("redis").moved(redis_url, proxy.port))
            await stored_user(process, user)
            proxy.fault = fault
            for number in range(5):
                user = renamed(user, f"Name {number}")
                await save(process, user)
                assert await stored_user(process, user) == user
            assert service.lookups["bypass"]
            proxy.fault = None
            while not service.lookups["hit"]:
                assert await stored_user(process, user) == user
                await asyncio.sleep(0.01)
            await service.close()

    async with asyncio.timeout(MAX_SECONDS), asyncio.TaskGroup() as tasks:
        for fault in Fault:
            tasks.create_task(check_fault(fault), name=fault.value)


async def test_a_wrong_password_is_a_cache_that_is_not_used(service: Service, redis_url: str) -> None:
    user = a_user()
    await add(service.store, user)
    process = service.process(url=f"redis://userport:wrong@{redis_url.rpartition('@')[2]}")
    assert await process.cache_failure() == "Redis rejects the user or the password"
    assert await stored_user(process, user) == user
    assert service.lookups == {"bypass": 1}
