from collections.abc import Callable

import pytest

from adapters.storage_contract.admins import AdminCases
from adapters.storage_contract.concurrency import ConcurrencyCases
from adapters.storage_contract.connections import ConnectionCases
from adapters.storage_contract.emails import EmailLookupCases
from adapters.storage_contract.faulty_proxy import Endpoint
from adapters.storage_contract.lifecycle import LifecycleCases
from adapters.storage_contract.network import OutageCases, WrongServerCases
from adapters.storage_contract.paging import UserPagingCases
from adapters.storage_contract.persistence import PersistenceCases
from adapters.storage_contract.records import RecordCases
from adapters.storage_contract.removal import RemovalCases
from adapters.storage_contract.requirements import RequirementCases
from adapters.storage_contract.search import SearchCases
from adapters.storage_contract.text import TextCases
from adapters.storage_contract.times import TimeCases
from adapters.storage_contract.uniqueness import UniquenessCases
from adapters.storage_contract.units_of_work import UnitOfWorkCases
from adapters.storage_contract.users import UserCases
from adapters.storage_contract.versions import VersionCases
from domain.storage import Storage


class StorageContract(
    UserCases,
    RecordCases,
    AdminCases,
    TextCases,
    TimeCases,
    UniquenessCases,
    VersionCases,
    UnitOfWorkCases,
    RequirementCases,
    RemovalCases,
    EmailLookupCases,
    UserPagingCases,
    SearchCases,
    ConcurrencyCases,
    ConnectionCases,
    LifecycleCases,
):
    """The promises of every store. Subclass it once per store and provide the two fixtures.

    Open the storage with the types in `adapters.storage_contract.samples.CONTRACT_TYPES`, one of which exists only for
    the contract.

    ```python
    class TestMyStorage(StorageContract):
        @pytest.fixture
        async def storage(self):
            storage = MyStorage(..., CONTRACT_TYPES)
            await storage.prepare()
            yield storage
            await storage.close()

        @pytest.fixture
        async def another_client(self, storage): ...
    ```

    A store outside of this process subclasses `PersistentStorageContract`, and one on a network
    `NetworkStorageContract`. The cases are coroutines and need pytest-asyncio with `asyncio_mode = "auto"` and one loop
    scope for tests and fixtures. No case may be skipped or overridden.
    """

    @pytest.fixture
    async def storage(self) -> Storage:
        """An empty, prepared storage; closed after the test."""
        raise NotImplementedError

    @pytest.fixture
    async def another_client(self, storage: Storage) -> Storage:
        """A second storage on the same data, as another process would open it.

        A store in the memory of one process returns the same object.
        """
        raise NotImplementedError

    def connections_in_use(self, storage: Storage) -> int:
        """Return the number of acquired connections; stores without a pool need not override it."""
        return 0


class PersistentStorageContract(StorageContract, PersistenceCases):
    """Further promises of a store whose data outlive the process. Needs two more fixtures."""

    @pytest.fixture
    async def unprepared_clients(self) -> tuple[Storage, Storage]:
        """Two storages on one empty, unprepared database."""
        raise NotImplementedError

    @pytest.fixture
    async def unreachable(self) -> Storage:
        """A storage on a server that does not run, or on a file that cannot exist."""
        raise NotImplementedError


class NetworkStorageContract(PersistentStorageContract, WrongServerCases, OutageCases):
    """Further promises of a store on a network. Needs two more fixtures."""

    @pytest.fixture
    def server(self) -> Endpoint:
        """Host and port of the server of `storage`."""
        raise NotImplementedError

    @pytest.fixture
    def open_at(self) -> Callable[[int], Storage]:
        """A function that opens the same storage as if its server had a given local port."""
        raise NotImplementedError
