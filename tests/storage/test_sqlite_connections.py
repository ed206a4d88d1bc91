import threading
from pathlib import Path

import pytest

from adapters.sql.storage import SqlStorage
from domain.errors import StorageUnavailable


async def test_a_file_that_cannot_be_opened_leaves_no_thread_behind(tmp_path: Path) -> None:
    storage = SqlStorage.open(f"sqlite:///{tmp_path}/nowhere/users.db")
    threads = threading.active_count()
    for _ in range(50):
        with pytest.raises(StorageUnavailable):
            await storage.ping()
        assert threading.active_count() == threads
    await storage.close()
