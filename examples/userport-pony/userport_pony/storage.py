from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from adapters.storage_plugin import StoragePlugin
from adapters.storage_urls import parse_file_url
from domain.record_types import RECORD_TYPES
from domain.records import R, RecordType

from userport_pony.database import Database
from userport_pony.repositories import PonyRecords, PonyUserRepository
from userport_pony.staged_writes import StagedWrites


class PonyUnitOfWork:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._staged = StagedWrites()
        self.users = PonyUserRepository(database, self._staged)

    def records(self, record_type: RecordType[R]) -> PonyRecords[R]:
        return PonyRecords(record_type, self._database, self._staged)

    async def commit(self) -> None:
        writes = self._staged.take()

        def apply(db: object) -> None:
            for write in writes:
                write(db)

        if writes:
            await self._database.write(apply)


class PonyStorage:
    """Users in a SQLite file that several processes may share. A commit is on disk when it returns."""

    def __init__(self, file: Path) -> None:
        self._database = Database(file)

    def unit_of_work(self) -> PonyUnitOfWork:
        return PonyUnitOfWork(self._database)

    async def prepare(self) -> None:
        await self._database.create_tables()

    async def ping(self) -> None:
        await self._database.check_tables()

    async def close(self) -> None:
        await self._database.close()


def open_storage(url: str, record_types: Sequence[RecordType[Any]] = RECORD_TYPES) -> PonyStorage:
    """Open `pony:///file.db` without connecting. Raise `ValueError`, whose text contains no part of the URL.

    The types make no difference: one table holds all records.
    """
    return PonyStorage(parse_file_url(url))


PLUGIN: Final = StoragePlugin(open_storage, embedded=True)
