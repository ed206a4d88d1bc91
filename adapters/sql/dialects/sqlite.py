import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import aiosqlite
from sqlalchemy import URL, Column, Connection, Table, UniqueConstraint, event
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.sql.dml import Insert

from adapters.sql.constraints import conflict
from adapters.sql.dialects.dialect import Dialect
from adapters.sql.tables import Base
from domain.errors import DomainError, StorageNotPrepared, StorageUnavailable, TooBusy

_BUSY_TIMEOUT_MILLISECONDS: Final = 1_500
_NO_FILE: Final = "there is no such file"
_CANNOT_BE_OPENED: Final = "the SQLite file cannot be opened; see to its folder and to their permissions"


class SQLite(Dialect):
    """A file that several processes may share, in WAL mode with full durability.

    SQLite has one writer at a time. Within this process writers queue for one connection, which is fair; SQLite's
    own waiting, between processes, is not.
    """

    write_connections = 1

    def driver_url(self, url: URL) -> URL:
        if url.host or url.username:
            raise ValueError("write sqlite:///file.db, or sqlite:////absolute/path/file.db")
        if not url.database or url.database == ":memory:" or "\0" in url.database:
            raise ValueError("it names no file; for a storage in memory use memory://")
        return url.set(drivername="sqlite+aiosqlite")

    def configure(self, reads: AsyncEngine, writes: AsyncEngine) -> None:
        for engine in (reads, writes):
            event.listen(engine.sync_engine, "connect", self._set_up)
        # Taking the write lock at once: a transaction that begins by reading could not be promoted later.
        event.listen(writes.sync_engine, "begin", self._begin_immediately)
        event.listen(writes.sync_engine, "invalidate", self._roll_back)

    def connect_args(self) -> Mapping[str, Any]:
        return {"async_creator_fn": _connect}

    def make_place(self, url: URL) -> None:
        try:
            Path(str(url.database)).touch(mode=0o600)  # it will hold password hashes
        except OSError as error:
            raise StorageUnavailable(_CANNOT_BE_OPENED) from error

    def meaning(self, error: DBAPIError) -> DomainError | None:
        message = str(error.orig)
        if isinstance(error, IntegrityError):
            return conflict(self._violated_constraint(message))
        if "no such table" in message or message == _NO_FILE:
            return StorageNotPrepared()
        if "locked" in message:
            return TooBusy()
        if "unable to open" in message:
            return StorageUnavailable(_CANNOT_BE_OPENED)
        if "not a database" in message or "malformed" in message:
            return StorageUnavailable("the SQLite file is damaged, or is no SQLite database")
        return StorageUnavailable() if isinstance(error, OperationalError) else None

    def may_be_repeated(self, error: DBAPIError) -> bool:
        # Mostly the busy timeout has waited already, but SQLite does not heed it where it smells a deadlock.
        return "locked" in str(error.orig)

    def upsert(self, table: Table, key: Column[Any], values: Mapping[str, Any]) -> Insert:
        return insert(table).values(values).on_conflict_do_update(index_elements=[key], set_=dict(values))

    @asynccontextmanager
    async def migration_lock(self, connection: AsyncConnection) -> AsyncIterator[None]:
        yield  # every write transaction holds one already

    @staticmethod
    def _violated_constraint(message: str) -> str:
        # SQLite names the columns, not the constraint.
        columns = re.search(r"constraint failed: (\w+)\.(\w+)", message)
        if columns is None:
            return "fk"
        unique = (
            str(constraint.name)
            for constraint in Base.metadata.tables[columns[1]].constraints
            if isinstance(constraint, UniqueConstraint) and columns[2] in constraint.columns
        )
        return next(unique, "pk")

    @staticmethod
    def _set_up(connection: DBAPIConnection, _: object) -> None:
        connection.isolation_level = None  # transactions are begun by us alone
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MILLISECONDS}")
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    @staticmethod
    def _begin_immediately(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    @staticmethod
    def _roll_back(connection: DBAPIConnection, *_: object) -> None:
        # When a call is cancelled its connection is closed, but SQLite keeps what is closed open, write lock and all,
        # for as long as a statement of it is referred to: by the traceback of the cancellation, for example.
        with suppress(Exception, asyncio.CancelledError):
            connection.rollback()


async def _connect(file: str, **options: Any) -> aiosqlite.Connection:
    """Connect to a file that is there.

    An attempt that fails or is cancelled leaves neither an open file nor a thread behind.
    """
    connection = aiosqlite.connect(f"file:{quote(file)}?mode=rw", uri=True, **options)
    thread = connection._thread  # noqa: SLF001 - SQLAlchemy, too, reaches for it to make it a daemon
    thread.daemon = True
    opening = asyncio.ensure_future(connection)
    try:
        return await asyncio.shield(opening)
    except BaseException as error:
        # Left alone, the thread would report to an event loop that may be closed by then, and its file stay open.
        with suppress(Exception):
            await (await opening).close()
        thread.join()
        if isinstance(error, sqlite3.OperationalError) and _could_be_made(Path(file)):
            raise sqlite3.OperationalError(_NO_FILE) from error
        raise


def _could_be_made(path: Path) -> bool:
    return path.parent.is_dir() and not path.exists()
