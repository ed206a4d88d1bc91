"""PostgreSQL 18, from a package."""

from collections.abc import Iterator
from typing import ClassVar

import pytest

from adapters.storage_contract.lifecycle import LifecycleCases
from tests.servers.choice import Kind
from tests.servers.databases import Databases
from tests.servers.variants import databases_on
from tests.storage.database_contract import ServerStorageContract


@pytest.fixture(scope="module")
def databases() -> Iterator[Databases]:
    with databases_on("postgresql_18") as databases:
        yield databases


class TestPostgreSQL18Storage(ServerStorageContract):
    kind: ClassVar[Kind] = "postgresql"
    quick_groups = (LifecycleCases,)
