"""MariaDB on three nodes of Galera, with every second client on another node."""

from collections.abc import AsyncIterator, Iterator
from typing import ClassVar

import pytest

from adapters.storage_contract.concurrency import ConcurrencyCases
from adapters.storage_contract.lifecycle import LifecycleCases
from adapters.storage_contract.requirements import RequirementCases
from domain.storage import Storage
from tests.servers.choice import Kind
from tests.servers.galera import GaleraCluster
from tests.servers.mariadb import KIND
from tests.storage.database_contract import ServerStorageContract, connected


@pytest.fixture(scope="module")
def cluster() -> Iterator[GaleraCluster]:
    with GaleraCluster() as cluster:
        yield cluster


class TestGaleraStorage(ServerStorageContract):
    kind: ClassVar[Kind] = "mariadb"
    quick_groups = (ConcurrencyCases, LifecycleCases, RequirementCases)

    @pytest.fixture(scope="class")
    @classmethod
    async def prepared_url(cls, cluster: GaleraCluster) -> AsyncIterator[str]:
        url = KIND.create(cluster.nodes[0].url)
        async with connected(url) as storage:
            await storage.prepare()
        yield url
        KIND.drop(url)

    @pytest.fixture
    async def another_client(self, empty_url: str, cluster: GaleraCluster) -> AsyncIterator[Storage]:
        async with connected(cluster.nodes[1].url_of_same(empty_url)) as storage:
            yield storage

    @pytest.fixture
    async def unprepared_clients(self, cluster: GaleraCluster) -> AsyncIterator[tuple[Storage, Storage]]:
        url = KIND.create(cluster.nodes[0].url)
        async with connected(url) as first, connected(cluster.nodes[1].url_of_same(url)) as second:
            yield first, second
        KIND.drop(url)
