from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from adapters.storage_plugin import StoragePlugin
from domain.record_types import RECORD_TYPES
from domain.records import R, RecordType

from userport_tortoise.asyncpg_database import AsyncpgDatabase
from userport_tortoise.database import Database
from userport_tortoise.repositories import StagedWrites, TortoiseRecords, TortoiseUserRepository
from userport_tortoise.sqlite_database import SqliteDatabase


class TortoiseUnitOfWork:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._staged = StagedWrites()
        self.users = TortoiseUserRepository(database, self._staged)

    def records(self, record_type: RecordType[R]) -> TortoiseRecords[R]:
        return TortoiseRecords(record_type, self._database, self._staged)

    async def commit(self) -> None:
        writes = self._staged.take()
        if writes:
            await self._database.transact(writes)


class TortoiseStorage:
    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def connections_in_use(self) -> int:
        return self._database.limiter.in_use

    def unit_of_work(self) -> TortoiseUnitOfWork:
        return TortoiseUnitOfWork(self._database)

    async def prepare(self) -> None:
        await self._database.migrate()

    async def ping(self) -> None:
        await self._database.run(lambda: self._database.record_model.first())

    async def close(self) -> None:
        await self._database.close()


def open_sqlite(url: str, _: Sequence[RecordType[Any]] = RECORD_TYPES, /) -> TortoiseStorage:
    """Open `tortoise+sqlite:///file.db`. The types make no difference: one table holds all records."""
    file = url.partition(":///")[2]
    if not file or "?" in file or "#" in file:
        raise ValueError("write tortoise+sqlite:///file.db, with %3F and %23 for ? and # in the name of a file")
    return TortoiseStorage(SqliteDatabase(Path(unquote(file)).absolute()))


def open_postgresql(url: str, _: Sequence[RecordType[Any]] = RECORD_TYPES, /) -> TortoiseStorage:
    """Open `tortoise+postgresql://user:password@host:port/database`."""
    try:
        parts = urlsplit(url)
        address = {"host": parts.hostname or "localhost", "port": parts.port or 5432}
    except ValueError:
        raise ValueError("its host or port is wrong") from None
    if not parts.username or len(parts.path) < 2 or "?" in url or "#" in url:
        raise ValueError("write tortoise+postgresql://user:password@host:port/database, without options")
    login = {"user": parts.username, "password": parts.password or "", "database": parts.path[1:]}
    return TortoiseStorage(AsyncpgDatabase(**address, **{name: unquote(text) for name, text in login.items()}))


SQLITE: Final = StoragePlugin(open_sqlite, embedded=True)
POSTGRESQL: Final = StoragePlugin(open_postgresql)
