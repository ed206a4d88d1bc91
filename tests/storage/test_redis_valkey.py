"""Valkey, which speaks the protocol of Redis."""

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
    with databases_on("redis_valkey") as databases:
        yield databases


class TestValkeyStorage(ServerStorageContract):
    kind: ClassVar[Kind] = "redis"
    quick_groups = (LifecycleCases,)
