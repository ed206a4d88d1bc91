from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from adapters.storage_plugin import StoragePlugin
from domain.record_types import RECORD_TYPES
from domain.records import R, RecordType
from sqlalchemy import func, make_url, select
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from userport_sqlalchemy_orm.models import Base, UserModel
from userport_sqlalchemy_orm.repositories import OrmRecords, OrmUserRepository
from userport_sqlalchemy_orm.sessions import Sessions, open_engine
from userport_sqlalchemy_orm.writes import Write, apply_writes


class OrmUnitOfWork:
    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._staged: list[Write] = []
        self.users = OrmUserRepository(sessions, self._staged)

    def records(self, record_type: RecordType[R]) -> OrmRecords[R]:
        return OrmRecords(record_type, self._sessions, self._staged)

    async def commit(self) -> None:
        writes = self._staged.copy()
        self._staged.clear()
        if writes:
            await self._sessions.commit(partial(apply_writes, writes))


class OrmStorage:
    """Users and records in a SQLite file or a PostgreSQL database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine: Final = engine
        self._sessions: Final = Sessions(engine)

    def unit_of_work(self) -> OrmUnitOfWork:
        return OrmUnitOfWork(self._sessions)

    async def prepare(self) -> None:
        async def create_tables(session: AsyncSession) -> None:
            connection = await session.connection()
            if connection.dialect.name == "postgresql":
                await session.execute(select(func.pg_advisory_xact_lock(0x6F726D)))  # "orm": others wait
            await connection.run_sync(Base.metadata.create_all)

        await self._sessions.commit(create_tables)

    async def ping(self) -> None:
        await self._sessions.read(select(UserModel.id).limit(1))

    async def close(self) -> None:
        await self.engine.dispose()


def open_storage(url: str, record_types: Sequence[RecordType[Any]] = RECORD_TYPES) -> OrmStorage:
    """Open a storage without connecting. Raise `ValueError`, whose text contains no part of the URL.

    The types make no difference: one table holds all records.
    """
    try:
        parsed = make_url(url.removeprefix("orm+"))
    except (ArgumentError, ValueError):
        raise ValueError("write orm+postgresql://user:password@host:port/database") from None
    if "?" in url:
        raise ValueError("it takes no options; in a name or a password, write %3F for ?")
    if parsed.drivername == "sqlite" and (parsed.host or parsed.username or not parsed.database):
        raise ValueError("write orm+sqlite:///file.db, or orm+sqlite:////absolute/path/file.db")
    return OrmStorage(open_engine(parsed))


EMBEDDED: Final = StoragePlugin(open_storage, embedded=True)
SERVER: Final = StoragePlugin(open_storage)
