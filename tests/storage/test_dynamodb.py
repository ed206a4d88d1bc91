from typing import ClassVar

from tests.servers.choice import Kind
from tests.storage.database_contract import ServerStorageContract


class TestDynamoDBStorage(ServerStorageContract):
    kind: ClassVar[Kind] = "dynamodb"
