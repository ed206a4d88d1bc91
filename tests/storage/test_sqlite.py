import shutil
from pathlib import Path
from typing import ClassVar

import pytest
from sqlalchemy import make_url

from tests.servers.choice import Kind
from tests.storage.sql_contract import SqlStorageContract


# A call that is cancelled while aiosqlite connects leaves a connection to be closed by the garbage collector; Python
# 3.13 complains of that. It has not begun anything yet, so it holds nobody up.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <sqlite3.Connection:pytest.PytestUnraisableExceptionWarning")
class TestSQLiteStorage(SqlStorageContract):
    kind: ClassVar[Kind] = "sqlite"

    @pytest.fixture
    def empty_url(self, prepared_url: str, tmp_path: Path) -> str:
        """A copy of the prepared file, which is sooner made than one is emptied."""
        return f"sqlite:///{shutil.copy(str(make_url(prepared_url).database), tmp_path / 'test.db')}"
