"""A storage that is traced and measured keeps every promise of the one behind it."""

from collections.abc import Iterator
from contextlib import closing

import pytest
from opentelemetry.sdk.trace import TracerProvider

from adapters.memory.storage import MemoryStorage
from adapters.metrics.metrics import Metrics
from adapters.metrics.storage import MeasuredStorage
from adapters.storage_contract.contract import StorageContract
from adapters.storage_contract.samples import CONTRACT_TYPES
from adapters.tracing.storage import TracedStorage
from domain.storage import UnitOfWork
from tests.servers.choice import skip_unless_chosen

_TRACER = TracerProvider(shutdown_on_exit=False).get_tracer("tests")


class _AlwaysTraced(TracedStorage):
    def unit_of_work(self) -> UnitOfWork:
        with _TRACER.start_as_current_span("test"):
            return super().unit_of_work()

    async def ping(self) -> None:
        with _TRACER.start_as_current_span("test"):
            await super().ping()


@pytest.fixture(scope="module")
def metrics(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Metrics]:
    with closing(Metrics(tmp_path_factory.mktemp("metrics"))) as metrics:
        yield metrics


@pytest.mark.slow
class TestMeasuredAndTracedStorage(StorageContract):
    @pytest.fixture
    async def storage(self, metrics: Metrics) -> MeasuredStorage:
        skip_unless_chosen("memory")
        return MeasuredStorage(_AlwaysTraced(MemoryStorage(CONTRACT_TYPES), _TRACER, "memory"), metrics)

    @pytest.fixture
    async def another_client(self, storage: MeasuredStorage) -> MeasuredStorage:
        return storage
