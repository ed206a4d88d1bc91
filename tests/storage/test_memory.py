import pytest

from adapters.memory.storage import MemoryStorage
from adapters.storage_contract.contract import StorageContract
from adapters.storage_contract.samples import CONTRACT_TYPES
from tests.servers.choice import skip_unless_chosen


class TestMemoryStorage(StorageContract):
    @pytest.fixture
    async def storage(self) -> MemoryStorage:
        skip_unless_chosen("memory")
        return MemoryStorage(CONTRACT_TYPES)

    @pytest.fixture
    async def another_client(self, storage: MemoryStorage) -> MemoryStorage:
        return storage
