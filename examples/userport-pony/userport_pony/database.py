import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from sqlite3 import Connection, OperationalError
from time import monotonic
from typing import Any, Final, TypeVar

from domain.errors import (
    DomainError,
    StorageNotPrepared,
    StorageUnavailable,
    TooBusy,
)
from pony import orm
from pony.orm.dbproviders import sqlite  # noqa: F401 - or Pony would import it late, in two threads at once

from userport_pony.tables import define_entities

T = TypeVar("T")

_LOCK_SECONDS: Final = 5
_MAX_SECONDS: Final = 8


class Database:
    """A file, whose Pony sessions run one by one on a separate thread, because Pony blocks."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._pony: Any = orm.Database()
        self._pony.on_connect(provider="sqlite")(_make_durable)
        define_entities(self._pony)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="pony")

    async def read(self, work: Callable[[Any], T]) -> T:
        """Run `work` with the Pony database in a session, and return its result."""
        return await self._run(lambda: self._in_session(orm.db_session(), work))

    async def write(self, work: Callable[[Any], None]) -> None:
        """Do the same in a transaction that holds the write lock from its start."""
        await self._run(lambda: self._in_session(orm.db_session(immediate=True), work))

    async def create_tables(self) -> None:
        await self._run(self._pony.create_tables)

    async def check_tables(self) -> None:
        await self._run(self._pony.check_tables)

    async def close(self) -> None:
        with suppress(RuntimeError):  # it is closed
            self._thread.submit(self._pony.disconnect)
        await asyncio.to_thread(self._thread.shutdown)

    async def _run(self, work: Callable[[], T]) -> T:
        """Wait for the thread; cancelling the caller does not stop running work."""
        running = self._thread.submit(self._until_unlocked, work, monotonic() + _LOCK_SECONDS)
        try:
            async with asyncio.timeout(_MAX_SECONDS):
                return await asyncio.wrap_future(running)
        except TimeoutError:
            raise (TooBusy() if running.cancel() else StorageUnavailable()) from None

    def _until_unlocked(self, work: Callable[[], T], deadline: float) -> T:
        while True:
            try:
                return self._attempt(work)
            except TooBusy:  # usually after SQLite has waited; a change to WAL may fail at once
                if monotonic() > deadline:
                    raise

    def _attempt(self, work: Callable[[], T]) -> T:
        try:
            if self._pony.provider is None:
                self._pony.bind("sqlite", str(self._file), create_db=True, timeout=0.2)
                self._pony.generate_mapping(check_tables=False)
            return work()
        except (
            orm.DBException,
            orm.TransactionError,
            OperationalError,
        ) as error:  # OperationalError: SQLite's own, from a bind
            self._pony.disconnect()  # the next call uses a fresh connection
            raise _failure(str(error)) from error

    def _in_session(self, session: Any, work: Callable[[Any], T]) -> T:
        with session:
            return work(self._pony)


def _make_durable(_: object, connection: Connection) -> None:
    with ExitStack() as on_failure:
        on_failure.callback(connection.close)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        on_failure.pop_all()


def _failure(message: str) -> DomainError:
    if "no such table" in message or "no such column" in message:
        return StorageNotPrepared()
    if "locked" in message:
        return TooBusy()
    if "unable to open" in message:
        return StorageUnavailable("the SQLite file cannot be opened; check its folder and the permissions of both")
    return StorageUnavailable()
