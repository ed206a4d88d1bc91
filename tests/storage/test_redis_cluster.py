import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import ClassVar

import pytest

from adapters.storage_contract.examples import a_full_user, a_post, a_user
from adapters.storage_contract.network import WrongServerCases
from adapters.storage_contract.steps import add, read_all, stored_user
from domain.errors import TooBusy
from domain.storage import Storage
from entrypoints.storage_by_url import open_storage
from tests.servers.choice import Kind, give_up, skip_unless_chosen
from tests.servers.databases import Databases
from tests.servers.process import wait_until
from tests.servers.redis import KIND
from tests.servers.redis_cluster import RedisClusterProcesses
from tests.storage.database_contract import DatabaseStorageContract, connected, connections_in_use
from tests.storage.failovers import added_at_last, succeeded_at_last


@pytest.fixture(scope="module")
def cluster() -> Iterator[RedisClusterProcesses]:
    skip_unless_chosen("redis")
    programs = KIND.find_programs()
    if programs is None:
        give_up("redis", KIND.how_to_get_it)
    with RedisClusterProcesses(programs) as cluster:
        yield cluster


class TestRedisClusterStorage(DatabaseStorageContract, WrongServerCases):
    kind: ClassVar[Kind] = "redis"

    @pytest.fixture(scope="class")
    @classmethod
    async def prepared_url(cls, cluster: RedisClusterProcesses) -> str:
        url = KIND.create(cluster.url)
        async with connected(url) as storage:
            await storage.prepare()
        return url

    @pytest.fixture
    async def unprepared_clients(self, cluster: RedisClusterProcesses) -> AsyncIterator[tuple[Storage, Storage]]:
        url = KIND.create(cluster.url)
        async with connected(url) as first, connected(url) as second:
            yield first, second

    @pytest.fixture
    async def unreachable(self, databases: Databases) -> AsyncIterator[Storage]:
        with databases.unreachable("redis") as url:
            async with connected(url.replace("redis:", "redis+cluster:")) as storage:
                yield storage

    @pytest.fixture
    def open_at(self, prepared_url: str) -> Callable[[int], Storage]:
        return lambda port: open_storage(KIND.moved(prepared_url, port))


async def test_a_service_goes_on_when_its_slot_has_moved(cluster: RedisClusterProcesses) -> None:
    url = KIND.create(cluster.url)
    async with connected(url) as storage:
        await storage.prepare()
        user, newcomer = a_full_user(), a_user()
        await add(storage, user, a_post(user))
        move = cluster.move_to_another_master(url)
        next(move)  # the keys are on both nodes
        for attempt in (add(storage, newcomer), stored_user(storage, user)):
            with pytest.raises(TooBusy):
                await attempt
        next(move)  # all keys are on the other node, but the slot is not
        assert await stored_user(storage, user) == user
        next(move)
        await add(storage, newcomer)
        assert (await read_all(storage)).users == [user, newcomer]


@pytest.mark.cluster
async def test_a_frozen_master_is_left_for_its_replica(cluster: RedisClusterProcesses) -> None:
    url = f"{KIND.create(cluster.url)}&replicas=1"
    async with connected(url) as storage:
        await storage.prepare()
        kept = a_full_user()
        await add(storage, kept, a_post(kept))
        await asyncio.gather(*(read_all(storage) for _ in range(20)))
        frozen = cluster.master_of(url)
        frozen.pause()
        reads = [asyncio.create_task(succeeded_at_last(lambda: stored_user(storage, kept))) for _ in range(20)]
        async with connected(url.replace("&replicas=1", "")) as other:  # there is no second replica
            newcomer = await added_at_last(other)
            assert await asyncio.gather(*reads) == [kept] * 20
            frozen.resume()
            wait_until(lambda: all(node.is_complete() for node in cluster.nodes))
            for client in (storage, other):
                assert await stored_user(client, newcomer) == newcomer
            assert connections_in_use(storage) == 0


async def test_the_death_of_a_master_is_healed_by_its_replica(cluster: RedisClusterProcesses) -> None:
    url = KIND.create(cluster.url)
    async with connected(url) as storage:
        await storage.prepare()
        kept = a_full_user()
        await add(storage, kept, a_post(kept))
        await asyncio.gather(*(read_all(storage) for _ in range(20)))
        cluster.wait_for_replica(url)
        cluster.master_of(url).kill()
        newcomer = await added_at_last(storage)
        assert await stored_user(storage, kept) == kept
        assert await stored_user(storage, newcomer) == newcomer
        assert connections_in_use(storage) == 0
