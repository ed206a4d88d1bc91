import shutil
from pathlib import Path
from typing import ClassVar

import pytest
from sqlalchemy import make_url

from tests.servers.choice import Kind
from tests.storage.served_contract import ServedStorageContract
from tests.storage.sql_cases import SqlCases


class TestSQLiteStorage(ServedStorageContract):
    kind: ClassVar[Kind] = "sqlite"

    @pytest.fixture
    def empty_url(self, prepared_url: str, tmp_path: Path) -> str:
        """A copy of the prepared file, which is sooner made than one is emptied."""
        return f"sqlite:///{shutil.copy(str(make_url(prepared_url).database), tmp_path / 'test.db')}"


class TestSQLiteCases(SqlCases):
    kind: ClassVar[Kind] = "sqlite"
