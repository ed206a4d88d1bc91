from collections.abc import Sequence
from typing import Any, Final

from adapters.storage_plugin import StoragePlugin
from adapters.storage_urls import parse_file_url, parse_server_url
from domain.record_types import RECORD_TYPES
from domain.records import RecordType

from userport_tortoise.asyncpg_database import AsyncpgDatabase
from userport_tortoise.database import Database
from userport_tortoise.repositories import TortoiseUnitOfWork
from userport_tortoise.sqlite_database import SqliteDatabase


class TortoiseStorage:
    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def connections_in_use(self) -> int:
        return self._database.limiter.in_use

    def unit_of_work(self) -> TortoiseUnitOfWork:
        return TortoiseUnitOfWork(self._database)

    async def prepare(self) -> None:
        await self._database.transact([self._database.create_tables])

    async def ping(self) -> None:
        await self._database.run(lambda: self._database.record_model.first())

    async def close(self) -> None:
        await self._database.close()


def open_sqlite(url: str, _: Sequence[RecordType[Any]] = RECORD_TYPES, /) -> TortoiseStorage:
    """Open `tortoise+sqlite:///file.db`. The types make no difference: one table holds all records."""
    return TortoiseStorage(SqliteDatabase(parse_file_url(url)))


def open_postgresql(url: str, _: Sequence[RecordType[Any]] = RECORD_TYPES, /) -> TortoiseStorage:
    """Open `tortoise+postgresql://user:password@host:port/database`."""
    return TortoiseStorage(AsyncpgDatabase(parse_server_url(url, default_port=5432)))


SQLITE: Final = StoragePlugin(open_sqlite, embedded=True)
POSTGRESQL: Final = StoragePlugin(open_postgresql)
