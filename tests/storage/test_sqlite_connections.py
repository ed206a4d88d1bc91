import asyncio
import threading
from pathlib import Path

import pytest

from adapters.sql.storage import SqlStorage
from domain.errors import StorageNotPrepared, StorageUnavailable


async def test_a_file_that_cannot_be_opened_leaves_no_thread_behind(tmp_path: Path) -> None:
    before = set(threading.enumerate())  # storages of other tests may be open
    storage = SqlStorage.open(f"sqlite:///{tmp_path}/nowhere/users.db")
    for _ in range(50):
        with pytest.raises(StorageUnavailable):
            await storage.ping()
    await storage.close()
    assert not [thread for thread in set(threading.enumerate()) - before if thread.name.startswith("userport-file")]


async def test_a_file_is_made_when_it_is_prepared_and_for_its_owner_alone(tmp_path: Path) -> None:
    storage = SqlStorage.open(f"sqlite:///{tmp_path}/users #1?.db".replace("?", "%3F"))
    for call in (storage.ping, storage.unit_of_work().users.count):
        with pytest.raises(StorageNotPrepared):
            await call()
    assert modes(tmp_path) == {}
    await storage.prepare()
    await storage.ping()
    assert "users #1?.db" in modes(tmp_path)
    assert set(modes(tmp_path).values()) == {0o600}
    await storage.close()


def modes(directory: Path) -> dict[str, int]:
    return {file.name: file.stat().st_mode & 0o777 for file in directory.iterdir()}


async def test_a_storage_that_was_closed_says_at_once_that_it_is_of_no_use(tmp_path: Path) -> None:
    storage = SqlStorage.open(f"sqlite:///{tmp_path}/users.db")
    await storage.prepare()
    await storage.close()
    async with asyncio.timeout(3):
        for _ in range(10):
            with pytest.raises(StorageUnavailable):
                await storage.ping()
            with pytest.raises(StorageUnavailable):
                await storage.unit_of_work().users.page(limit=1)
