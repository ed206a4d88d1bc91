"""The whole contract, and what lies outside of it: processes that share a file, locks, URLs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from adapters.storage_contract.contract import PersistentStorageContract
from userport_pony.storage import PonyStorage


@asynccontextmanager
async def opened(file: Path) -> AsyncIterator[PonyStorage]:
    storage = PonyStorage(file)
    yield storage
    await storage.close()


class TestPonyStorage(PersistentStorageContract):
    @pytest.fixture
    async def storage(self, tmp_path: Path) -> AsyncIterator[PonyStorage]:
        async with opened(tmp_path / "users.db") as storage:
            await storage.prepare()
            yield storage

    @pytest.fixture
    async def another_client(self, storage: PonyStorage, tmp_path: Path) -> AsyncIterator[PonyStorage]:
        async with opened(tmp_path / "users.db") as another:
            yield another

    @pytest.fixture
    async def unprepared_clients(self, tmp_path: Path) -> AsyncIterator[tuple[PonyStorage, PonyStorage]]:
        async with opened(tmp_path / "empty.db") as first, opened(tmp_path / "empty.db") as second:
            yield first, second

    @pytest.fixture
    async def unreachable(self, tmp_path: Path) -> AsyncIterator[PonyStorage]:
        async with opened(tmp_path / "no such folder" / "users.db") as storage:
            yield storage
