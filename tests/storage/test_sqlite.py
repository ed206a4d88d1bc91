import shutil
from collections.abc import Iterator
from typing import ClassVar

import pytest
from sqlalchemy import make_url

from tests.servers.choice import Kind
from tests.servers.databases import Databases
from tests.storage.database_contract import DatabaseStorageContract
from tests.storage.sql_cases import SqlCases


class TestSQLiteStorage(DatabaseStorageContract):
    kind: ClassVar[Kind] = "sqlite"

    @pytest.fixture
    def empty_url(self, prepared_url: str, databases: Databases) -> Iterator[str]:
        """A copy of the prepared file, which is faster than emptying one."""
        with databases.fresh(self.kind) as url:
            shutil.copy(str(make_url(prepared_url).database), str(make_url(url).database))
            yield url


class TestSQLiteCases(SqlCases):
    kind: ClassVar[Kind] = "sqlite"
