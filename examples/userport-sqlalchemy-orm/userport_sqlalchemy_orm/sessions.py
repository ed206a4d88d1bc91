"""Sessions on both databases, and what their failures mean."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic
from typing import Any, Final, TypeVar

from asyncpg import InterfaceError, PostgresError
from domain.errors import DomainError, StorageNotPrepared, StorageUnavailable, TooBusy
from sqlalchemy import URL, Connection, Select, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

T = TypeVar("T")

_CONNECTIONS: Final = 5
_WAIT_SECONDS: Final = 5
# PostgreSQL's manual, appendix A: conflict, deadlock, too many connections, lock not available.
_BUSY: Final = ("40001", "40P01", "53300", "55P03")


class Sessions:
    """Opens an `AsyncSession` for each read and each commit. No session outlives a call."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._for_reads: Final = async_sessionmaker(engine.execution_options(isolation_level="AUTOCOMMIT"))
        self._for_commits: Final = async_sessionmaker(engine, autoflush=False, expire_on_commit=False)
        self._readers: Final = asyncio.Semaphore(_CONNECTIONS)
        self._writers: Final = asyncio.Semaphore(1 if engine.dialect.name == "sqlite" else _CONNECTIONS)

    async def read(self, statement: Select[T]) -> Sequence[T]:
        """Return the first column of each row."""

        async def read() -> Sequence[T]:
            async with self._readers, self._for_reads() as session:
                return (await session.scalars(statement)).all()

        return await asyncio.shield(asyncio.create_task(_run(read)))

    async def commit(self, work: Callable[[AsyncSession], Awaitable[None]]) -> None:
        """Commit what `work` does, which may be repeated after a rollback."""

        async def commit() -> None:
            async with self._writers, self._for_commits.begin() as session:
                await work(session)

        await asyncio.shield(asyncio.create_task(_run(commit)))  # a cancelled caller leaves no open transaction


async def _run(attempt: Callable[[], Awaitable[T]]) -> T:
    deadline = monotonic() + _WAIT_SECONDS
    while True:
        try:
            return await attempt()
        except (DBAPIError, PostgresError, OSError, InterfaceError) as error:  # `OSError` includes timeouts
            failure = _translate(error)
            if not isinstance(failure, TooBusy) or monotonic() > deadline:
                raise failure from error
        await asyncio.sleep(0.01)


def open_engine(url: URL) -> AsyncEngine:
    is_sqlite = url.get_backend_name() == "sqlite"
    engine = create_async_engine(
        url.set(drivername="sqlite+aiosqlite" if is_sqlite else "postgresql+asyncpg"),
        connect_args={"timeout": _WAIT_SECONDS} | ({} if is_sqlite else {"command_timeout": 2 * _WAIT_SECONDS}),
        hide_parameters=True,  # errors would show password hashes
        pool_pre_ping=True,
        pool_size=2 * _CONNECTIONS,  # as many for commits as for reads
        max_overflow=-1,  # semaphores bound it: those who wait for the pool do not learn that the server is gone
    )
    if is_sqlite:
        event.listen(engine.sync_engine, "connect", _configure_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_immediate)
    return engine


def _configure_sqlite(connection: DBAPIConnection, _: Any) -> None:
    cursor = connection.cursor()
    for setting in ("foreign_keys = ON", "journal_mode = WAL", "synchronous = FULL"):
        cursor.execute(f"PRAGMA {setting}")
    cursor.close()


def _begin_immediate(connection: Connection) -> None:
    """Take SQLite's write lock before the first read: a lock for reading cannot be upgraded later."""
    if connection.get_isolation_level() != "AUTOCOMMIT":
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _translate(error: Exception) -> DomainError:
    cause = error.orig if isinstance(error, DBAPIError) else error
    code, message = getattr(cause, "sqlstate", None), str(cause)
    if code == "42P01" or "no such table" in message:  # PostgreSQL: undefined table
        return StorageNotPrepared()
    return TooBusy() if code in _BUSY or "database is locked" in message else StorageUnavailable()
