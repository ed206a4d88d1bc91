from collections.abc import Sequence
from typing import Any, Final

from adapters.dynamodb.actions import Action
from adapters.dynamodb.address import parse_address
from adapters.dynamodb.commits import Committer, Write
from adapters.dynamodb.intents import WriteIntents
from adapters.dynamodb.items import SCHEMA_KEY
from adapters.dynamodb.reader import Reader
from adapters.dynamodb.removals import UserRemovals
from adapters.dynamodb.repositories import DynamoDBRecords, DynamoDBUserRepository
from adapters.dynamodb.table import Table
from adapters.storage_plugin import StoragePlugin
from domain.errors import StorageNotPrepared
from domain.record_types import RECORD_TYPES
from domain.records import R, RecordType

_SCHEMA_VERSION: Final = 1
"""Of the items; `prepare` writes it down last, and a greater one was written by a newer userport."""


class DynamoDBUnitOfWork:
    def __init__(self, reader: Reader, committer: Committer, record_types: Sequence[RecordType[Any]]) -> None:
        self._reader = reader
        self._committer = committer
        self._staged: list[Write] = []
        self.users = DynamoDBUserRepository(reader, record_types, self._staged)

    def records(self, record_type: RecordType[R]) -> DynamoDBRecords[R]:
        return DynamoDBRecords(record_type, self._reader, self._staged)

    async def commit(self) -> None:
        writes = self._staged.copy()
        self._staged.clear()
        if writes:
            await self._committer.commit(writes)


class DynamoDBStorage:
    """Users and records in one table of DynamoDB. A commit is durable on several machines when it returns."""

    def __init__(self, table: Table, record_types: Sequence[RecordType[Any]]) -> None:
        self._table = table
        self._record_types = record_types
        self._intents = WriteIntents(table)
        self._removals = UserRemovals(table, self._intents, record_types)
        self._reader = Reader(table, self._intents)
        self._committer = Committer(table, self._intents, self._removals)

    @property
    def connections_in_use(self) -> int:
        return self._table.limiter.in_use

    def unit_of_work(self) -> DynamoDBUnitOfWork:
        self._removals.resume()
        return DynamoDBUnitOfWork(self._reader, self._committer, self._record_types)

    async def prepare(self) -> None:
        """Create or migrate the table, and finish the commits of processes that died."""
        await self._table.create()
        await self._intents.finish_overdue()
        try:
            await self.ping()
        except StorageNotPrepared:
            await self._table.transact([Action("Put", SCHEMA_KEY, image={"number": _SCHEMA_VERSION})])

    async def ping(self) -> None:
        stored = (await self._table.read([SCHEMA_KEY])).get(SCHEMA_KEY)
        if stored is None or stored["number"] < _SCHEMA_VERSION:
            raise StorageNotPrepared

    async def close(self) -> None:
        await self._removals.close()
        await self._table.close()


def open_storage(url: str, record_types: Sequence[RecordType[Any]] = RECORD_TYPES) -> DynamoDBStorage:
    """Open a storage without connecting. Raise `ValueError`, which never contains the URL."""
    return DynamoDBStorage(Table(parse_address(url)), record_types)


PLUGIN: Final = StoragePlugin(open_storage)
