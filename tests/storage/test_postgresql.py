from typing import ClassVar

from tests.servers.choice import Kind
from tests.storage.served_contract import ServedStorageContract
from tests.storage.sql_cases import SqlServerCases


class TestPostgreSQLStorage(ServedStorageContract):
    kind: ClassVar[Kind] = "postgresql"


class TestPostgreSQLCases(SqlServerCases):
    kind: ClassVar[Kind] = "postgresql"
