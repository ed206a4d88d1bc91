import pytest

from adapters.memory.storage import MemoryStorage
from adapters.storage_contract.contract import StorageContract
from tests.servers.choice import skip_unless_chosen


class TestMemoryStorage(StorageContract):
    @pytest.fixture
    async def storage(self) -> MemoryStorage:
        skip_unless_chosen("memory")
        return MemoryStorage()

    @pytest.fixture
    async def another_client(self, storage: MemoryStorage) -> MemoryStorage:
        return storage
