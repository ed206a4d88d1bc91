from typing import ClassVar

from tests.servers.choice import Kind
from tests.storage.served_contract import ServedStorageContract


class TestDynamoDBStorage(ServedStorageContract):
    kind: ClassVar[Kind] = "dynamodb"
