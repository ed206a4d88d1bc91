"""The storage contract through the cache, with two clients that each have their own."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from secrets import token_hex
from typing import ClassVar

import pytest

from adapters.cache.config import CacheConfig
from adapters.cache.storage import CachedStorage
from adapters.storage_contract.concurrency import ConcurrencyCases
from adapters.storage_contract.connections import ConnectionCases
from adapters.storage_contract.records import RecordCases
from adapters.storage_contract.removal import RemovalCases
from adapters.storage_contract.requirements import RequirementCases
from adapters.storage_contract.samples import CONTRACT_TYPES
from adapters.storage_contract.units_of_work import UnitOfWorkCases
from adapters.storage_contract.users import UserCases
from adapters.storage_contract.versions import VersionCases
from domain.storage import Storage
from entrypoints.storage_by_url import open_storage
from tests.servers.choice import Kind
from tests.servers.databases import Databases, server_kind
from tests.storage import test_postgresql, test_sqlite
from tests.storage.database_contract import connected, connections_in_use

CacheFor = Callable[[Storage], CachedStorage]


class Cached:
    """Records of every type are cached, in one namespace for both clients."""

    kind: ClassVar[Kind]

    @pytest.fixture
    def cached(self, databases: Databases) -> Iterator[CacheFor]:
        with databases.fresh("redis") as url:
            config, namespace = CacheConfig.parse(url.partition("?")[0]), token_hex(8)
            yield lambda storage: CachedStorage(storage, config, namespace, CONTRACT_TYPES)

    @pytest.fixture
    async def storage(self, empty_url: str, cached: CacheFor) -> AsyncIterator[Storage]:
        async with open_cached(empty_url, cached) as storage:
            yield storage

    @pytest.fixture
    async def another_client(self, empty_url: str, cached: CacheFor) -> AsyncIterator[Storage]:
        async with open_cached(empty_url, cached) as storage:
            yield storage

    @pytest.fixture
    async def unprepared_clients(
        self, databases: Databases, cached: CacheFor
    ) -> AsyncIterator[tuple[Storage, Storage]]:
        with databases.fresh(self.kind) as url:
            async with open_cached(url, cached) as first, open_cached(url, cached) as second:
                yield first, second

    @pytest.fixture
    async def unreachable(self, databases: Databases, cached: CacheFor) -> AsyncIterator[Storage]:
        with databases.unreachable(self.kind) as url:
            async with open_cached(url, cached) as storage:
                yield storage

    def connections_in_use(self, storage: Storage) -> int:
        assert isinstance(storage, CachedStorage)
        return connections_in_use(storage.inner)


@pytest.mark.slow
class TestCachedSQLiteStorage(Cached, test_sqlite.TestSQLiteStorage):
    quick_groups = (  # what reads by id, or changes what was read
        UserCases,
        RecordCases,
        VersionCases,
        UnitOfWorkCases,
        RequirementCases,
        RemovalCases,
        ConcurrencyCases,
        ConnectionCases,
    )


class TestCachedPostgreSQLStorage(Cached, test_postgresql.TestPostgreSQLStorage):
    quick_groups = ()

    @pytest.fixture
    def open_at(self, prepared_url: str, cached: CacheFor) -> Callable[[int], Storage]:
        return lambda port: cached(open_storage(server_kind(self.kind).moved(prepared_url, port)))


@asynccontextmanager
async def open_cached(url: str, cached: CacheFor) -> AsyncIterator[Storage]:
    async with connected(url) as storage:
        cache = cached(storage)
        try:
            yield cache
        finally:
            await cache.close()
