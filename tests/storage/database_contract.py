"""The common part of contract suites for stores outside of this process."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import ClassVar

import pytest

from adapters.storage_contract.contract import NetworkStorageContract, PersistentStorageContract
from adapters.storage_contract.faulty_proxy import Endpoint
from adapters.storage_contract.samples import CONTRACT_TYPES
from adapters.storage_plugin import PooledStorage
from domain.storage import Storage
from entrypoints.storage_by_url import open_storage
from tests.servers.choice import Kind
from tests.servers.databases import Databases, server_kind
from tests.storage.sql_tables import open_with_samples

_SQL = ("sqlite:", "postgresql:", "mariadb:", "mysql:")


class DatabaseStorageContract(PersistentStorageContract):
    kind: ClassVar[Kind]

    @pytest.fixture(scope="class")
    @classmethod
    async def prepared_url(cls, databases: Databases) -> AsyncIterator[str]:
        """One database for all cases of a store: creating one per case would take most of the time."""
        with databases.fresh(cls.kind) as url:
            async with connected(url) as storage:
                await storage.prepare()
            yield url

    @pytest.fixture
    def empty_url(self, prepared_url: str) -> Iterator[str]:
        yield prepared_url
        server_kind(self.kind).empty(prepared_url)

    @pytest.fixture
    async def storage(self, empty_url: str) -> AsyncIterator[Storage]:
        async with connected(empty_url) as storage:
            yield storage

    @pytest.fixture
    async def another_client(self, empty_url: str) -> AsyncIterator[Storage]:
        async with connected(empty_url) as storage:
            yield storage

    @pytest.fixture
    async def unprepared_clients(self, databases: Databases) -> AsyncIterator[tuple[Storage, Storage]]:
        with databases.fresh(self.kind) as url:
            async with connected(url) as first, connected(url) as second:
                yield first, second

    @pytest.fixture
    async def unreachable(self, databases: Databases) -> AsyncIterator[Storage]:
        with databases.unreachable(self.kind) as url:
            async with connected(url) as storage:
                yield storage

    def connections_in_use(self, storage: Storage) -> int:
        return connections_in_use(storage)


class ServerStorageContract(DatabaseStorageContract, NetworkStorageContract):
    @pytest.fixture
    def server(self, prepared_url: str) -> Endpoint:
        return server_kind(self.kind).endpoint(prepared_url)

    @pytest.fixture
    def open_at(self, prepared_url: str) -> Callable[[int], Storage]:
        return lambda port: open_storage(server_kind(self.kind).moved(prepared_url, port))


def connections_in_use(storage: Storage) -> int:
    assert isinstance(storage, PooledStorage)
    return storage.connections_in_use


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Storage]:
    storage = open_with_samples(url) if url.startswith(_SQL) else open_storage(url, CONTRACT_TYPES)
    try:
        yield storage
    finally:
        await storage.close()
