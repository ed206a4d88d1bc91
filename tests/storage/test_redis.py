from typing import ClassVar

from tests.servers.choice import Kind
from tests.storage.database_contract import ServerStorageContract


class TestRedisStorage(ServerStorageContract):
    kind: ClassVar[Kind] = "redis"
