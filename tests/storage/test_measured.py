"""A storage that is measured keeps every promise of the one behind it."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing

import pytest

from adapters.memory.storage import MemoryStorage
from adapters.metrics.metrics import Metrics
from adapters.metrics.storage import MeasuredStorage
from adapters.storage_contract.contract import StorageContract
from adapters.storage_contract.samples import CONTRACT_TYPES
from domain.storage import Storage
from tests.servers.choice import skip_unless_chosen
from tests.servers.databases import Databases
from tests.storage import test_sqlite
from tests.storage.database_contract import connected, connections_in_use


@pytest.fixture(scope="module")
def metrics(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Metrics]:
    with closing(Metrics(tmp_path_factory.mktemp("metrics"))) as metrics:
        yield metrics


@pytest.mark.slow
class TestMeasuredMemoryStorage(StorageContract):
    @pytest.fixture
    async def storage(self, metrics: Metrics) -> MeasuredStorage:
        skip_unless_chosen("memory")
        return MeasuredStorage(MemoryStorage(CONTRACT_TYPES), metrics)

    @pytest.fixture
    async def another_client(self, storage: MeasuredStorage) -> MeasuredStorage:
        return storage


@pytest.mark.slow
class TestMeasuredSQLiteStorage(test_sqlite.TestSQLiteStorage):
    @pytest.fixture
    async def storage(self, empty_url: str, metrics: Metrics) -> AsyncIterator[Storage]:
        async with _measured(empty_url, metrics) as storage:
            yield storage

    @pytest.fixture
    async def another_client(self, empty_url: str, metrics: Metrics) -> AsyncIterator[Storage]:
        async with _measured(empty_url, metrics) as storage:
            yield storage

    @pytest.fixture
    async def unprepared_clients(
        self, databases: Databases, metrics: Metrics
    ) -> AsyncIterator[tuple[Storage, Storage]]:
        with databases.fresh(self.kind) as url:
            async with _measured(url, metrics) as first, _measured(url, metrics) as second:
                yield first, second

    @pytest.fixture
    async def unreachable(self, databases: Databases, metrics: Metrics) -> AsyncIterator[Storage]:
        with databases.unreachable(self.kind) as url:
            async with _measured(url, metrics) as storage:
                yield storage

    def connections_in_use(self, storage: Storage) -> int:
        assert isinstance(storage, MeasuredStorage)
        return connections_in_use(storage.inner)


@asynccontextmanager
async def _measured(url: str, metrics: Metrics) -> AsyncIterator[Storage]:
    async with connected(url) as storage:
        yield MeasuredStorage(storage, metrics)
