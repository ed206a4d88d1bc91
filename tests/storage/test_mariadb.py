from typing import ClassVar

from tests.servers.choice import Kind
from tests.storage.served_contract import ServedStorageContract
from tests.storage.sql_cases import SqlServerCases


class TestMariaDBStorage(ServedStorageContract):
    kind: ClassVar[Kind] = "mariadb"


class TestMariaDBCases(SqlServerCases):
    kind: ClassVar[Kind] = "mariadb"
