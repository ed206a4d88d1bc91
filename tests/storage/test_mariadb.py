from typing import ClassVar

from tests.servers.choice import Kind
from tests.storage.database_contract import ServerStorageContract
from tests.storage.sql_cases import SqlServerCases


class TestMariaDBStorage(ServerStorageContract):
    kind: ClassVar[Kind] = "mariadb"


class TestMariaDBCases(SqlServerCases):
    kind: ClassVar[Kind] = "mariadb"
