"""What the SQL stores have in common when they are held to the contract."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import ClassVar

import pytest

from adapters.sql.storage import SqlStorage
from adapters.storage_contract.contract import PersistentStorageContract
from domain.storage import Storage
from tests.servers.choice import Kind
from tests.servers.databases import Databases
from tests.servers.sql import delete_all_rows


class SqlStorageContract(PersistentStorageContract):
    kind: ClassVar[Kind]

    @pytest.fixture(scope="class")
    @classmethod
    async def prepared_url(cls, databases: Databases) -> AsyncIterator[str]:
        """One database for all the cases of a store, since making one for each would take most of the time."""
        with databases.fresh(cls.kind) as url:
            async with opened(url) as storage:
                await storage.prepare()
            yield url

    @pytest.fixture
    def empty_url(self, prepared_url: str) -> Iterator[str]:
        yield prepared_url
        delete_all_rows(prepared_url)

    @pytest.fixture
    async def storage(self, empty_url: str) -> AsyncIterator[SqlStorage]:
        async with opened(empty_url) as storage:
            yield storage

    @pytest.fixture
    async def another_client(self, empty_url: str) -> AsyncIterator[SqlStorage]:
        async with opened(empty_url) as storage:
            yield storage

    @pytest.fixture
    async def unprepared_clients(self, databases: Databases) -> AsyncIterator[tuple[SqlStorage, SqlStorage]]:
        with databases.fresh(self.kind) as url:
            async with opened(url) as first, opened(url) as second:
                yield first, second

    @pytest.fixture
    async def unreachable(self, databases: Databases) -> AsyncIterator[SqlStorage]:
        with databases.unreachable(self.kind) as url:
            async with opened(url) as storage:
                yield storage

    def connections_in_use(self, storage: Storage) -> int:
        assert isinstance(storage, SqlStorage)
        return storage.connections_in_use


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[SqlStorage]:
    storage = SqlStorage.open(url)
    try:
        yield storage
    finally:
        await storage.close()
