from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from adapters.storage_plugin import StoragePlugin
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
    try:
        parts = urlsplit(url)
        address = {"host": parts.hostname or "localhost", "port": parts.port or 5432}
    except ValueError:
        raise ValueError("its host or port is wrong") from None
    if not parts.username or len(parts.path) < 2 or "?" in url or "#" in url:
        raise ValueError("write piccolo+postgresql://user:password@host:port/database, without options")
    login = {"user": parts.username, "password": parts.password or "", "database": parts.path[1:]}
    return PiccoloStorage(Database(**address, **{name: unquote(text) for name, text in login.items()}))


PLUGIN: Final = StoragePlugin(open_storage)
