from collections.abc import Sequence
from typing import Any, Final

from adapters.storage_plugin import StoragePlugin
from adapters.storage_urls import parse_server_url
from domain.record_types import RECORD_TYPES
from domain.records import R, RecordType

from userport_piccolo.database import Database
from userport_piccolo.repositories import PiccoloRecords, PiccoloUserRepository, StagedWrites
from userport_piccolo.tables import RecordTable, create_tables, lock_schema


class PiccoloUnitOfWork:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._staged = StagedWrites()
        self.users = PiccoloUserRepository(database, self._staged)

    def records(self, record_type: RecordType[R]) -> PiccoloRecords[R]:
        return PiccoloRecords(record_type, self._database, self._staged)

    async def commit(self) -> None:
        writes = self._staged.take()
        if writes:
            await self._database.transact(writes)


class PiccoloStorage:
    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def connections_in_use(self) -> int:
        return self._database.limiter.in_use

    def unit_of_work(self) -> PiccoloUnitOfWork:
        return PiccoloUnitOfWork(self._database)

    async def prepare(self) -> None:
        await self._database.transact([lock_schema, create_tables])

    async def ping(self) -> None:
        await self._database.run(lambda: RecordTable.exists())

    async def close(self) -> None:
        await self._database.close()


def open_storage(url: str, _: Sequence[RecordType[Any]] = RECORD_TYPES, /) -> PiccoloStorage:
    """Open `piccolo+postgresql://user:password@host:port/database`. One table holds the records of all types."""
    return PiccoloStorage(Database(parse_server_url(url, default_port=5432)))


PLUGIN: Final = StoragePlugin(open_storage)
