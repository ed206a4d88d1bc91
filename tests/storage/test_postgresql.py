from typing import ClassVar

from tests.servers.choice import Kind
from tests.storage.sql_contract import SqlStorageContract


class TestPostgreSQLStorage(SqlStorageContract):
    kind: ClassVar[Kind] = "postgresql"
