"""A storage that is traced keeps every promise of the one behind it."""

import pytest
from opentelemetry.sdk.trace import TracerProvider

from adapters.memory.storage import MemoryStorage
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


@pytest.mark.slow
class TestTracedMemoryStorage(StorageContract):
    @pytest.fixture
    async def storage(self) -> TracedStorage:
        skip_unless_chosen("memory")
        return _AlwaysTraced(MemoryStorage(CONTRACT_TYPES), _TRACER, "memory")

    @pytest.fixture
    async def another_client(self, storage: TracedStorage) -> TracedStorage:
        return storage
