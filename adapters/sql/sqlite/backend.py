import re
import sqlite3
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache, partial
from itertools import chain
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from sqlalchemy import URL, Connection, Table, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError, OperationalError

from adapters.sql.engine.backend import ENGINE_OPTIONS, Backend, TransactionCallback, idle_connections, run_statements
from adapters.sql.engine.statements import BoundStatement, MultiRowInsert, Rows
from adapters.sql.sqlite.connection import (
    POLL_MILLISECONDS,
    DatabaseFile,
    DatabaseFileNotFound,
    FileConnection,
    wait_for_lock,
)
from adapters.sql.sqlite.erasure import Erasure
from adapters.sql.sqlite.threads import WorkerThreads
from domain.errors import DomainError, StorageNotPrepared, StorageUnavailable, TooBusy

T = TypeVar("T")

_READ_THREADS: Final = 4
_CACHE_KIBIBYTES: Final = 32_000
_PAGES_BETWEEN_CHECKPOINTS: Final = 4_000
_CHUNKS: Final = (1_000, 500, 100)  # rows per statement, then single rest: the driver caches only few texts
_MAX_ARGUMENTS: Final = 32_766
# Errors of a commit. The first are definite rollbacks; the second may occur after everything but the end was written.
_ROLLED_BACK: Final = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CONSTRAINT}
_UNCERTAIN: Final = {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL}
_CANNOT_BE_OPENED: Final = "the SQLite file cannot be opened; check its folder and the permissions of both"


class SQLite(Backend):
    """A file that several processes may share, in WAL mode with full durability.

    SQLite has one writer at a time. Within this process, writers queue fairly for one connection; SQLite's own waiting,
    between processes, is unfair. Indexed reads run on the event loop's thread: they end sooner than another thread
    would start.
    """

    def __init__(self, url: URL, conflicts: Mapping[str, type[DomainError]]) -> None:
        if url.host or url.username:
            raise ValueError("write sqlite:///file.db, or sqlite:////absolute/path/file.db")
        if not url.database or url.database == ":memory:" or "\0" in url.database:
            raise ValueError("it does not name a file; for a storage in memory use memory://")
        super().__init__(url, conflicts)
        self._file: Final = DatabaseFile(url.database)
        self.engine = create_engine(
            url.set(drivername="sqlite+pysqlite"),
            pool_size=1,
            creator=partial(FileConnection, self._file),
            **ENGINE_OPTIONS,
        )
        event.listen(self.engine, "checkout", _discard_unless_current)
        event.listen(self.engine, "begin", _begin_immediate)
        event.listen(self.engine, "connect", _configure_writer)
        self._writer: Final = WorkerThreads(1, before_each=self._file.refresh_if_stale)
        self._readers: Final = WorkerThreads(_READ_THREADS, before_each=self._file.refresh)
        self._erasure: Final = Erasure(self._file, self.engine, self._writer.run)
        self._idle: Final[deque[FileConnection]] = deque()
        self._loop_connection: FileConnection | None = None
        self._closed = False
        self._insert_statement: Final = cache(lambda table: MultiRowInsert(table, self.dialect))

    @property
    def connections_in_use(self) -> int:
        return self._writer.in_use + self._readers.in_use

    @property
    def connections_idle(self) -> int:
        return idle_connections(self.engine) + len(self._idle) + (self._loop_connection is not None)

    async def fetch(self, statement: BoundStatement) -> Iterable[Iterable[Any]]:
        return await self._readers.run(partial(self._fetch_in_thread, statement))

    async def fetch_indexed(self, statement: BoundStatement) -> Iterable[Iterable[Any]]:
        if self._closed:
            raise StorageUnavailable
        try:
            self._file.refresh_if_stale()
            if self._loop_connection is None or not self._loop_connection.is_current:
                self._close_loop_connection()
                self._loop_connection = FileConnection(self._file, busy_milliseconds=0)
            return self._loop_connection.execute(*statement).fetchall()
        except sqlite3.Error:
            self._close_loop_connection()
            return await self.fetch(statement)  # waits for a lock, or fails for the same reason

    async def insert(self, table: Table, rows: Rows) -> None:
        await self.insert_together({table: rows})

    async def insert_together(self, rows: Mapping[Table, Rows]) -> None:
        statements = [*chain.from_iterable(self._bind_insert(table, of_table) for table, of_table in rows.items())]
        try:
            await self._writer.run(partial(self._insert_in_thread, statements))
        except OperationalError as error:  # it could not connect
            raise TooBusy from error
        except sqlite3.OperationalError as error:  # nearly always a lock
            raise StorageUnavailable if error.sqlite_errorcode & 0xFF in _UNCERTAIN else TooBusy from error
        except sqlite3.Error as error:
            raise self.translate_error(error) from error

    async def transact(self, callback: TransactionCallback[T]) -> T:
        def transact() -> T:
            with self.engine.connect() as connection:
                return self._run_transaction(connection, callback)

        try:
            return await self._writer.run(transact)
        finally:
            self._erasure.begin()

    async def close(self) -> None:
        self._closed = True
        self._close_loop_connection()
        await self._readers.close()
        while self._idle:
            self._idle.pop().close()
        await self._erasure.close()
        await self._writer.close()
        self.engine.dispose()

    def create_file(self) -> None:
        try:
            Path(self._file.path).touch(mode=0o600)  # it will hold password hashes
        except OSError as error:
            raise StorageUnavailable(_CANNOT_BE_OPENED) from error

    def insertion(self, table: Table, rows: Rows) -> TransactionCallback[None]:
        # In the writer's thread, every bound value would compete for the interpreter lock with this thread.
        return run_statements(self._bind_insert(table, rows))

    @contextmanager
    def migration_lock(self, connection: Connection) -> Iterator[None]:
        yield  # every transaction already holds the write lock

    def _fetch_in_thread(self, statement: BoundStatement) -> Sequence[Sequence[Any]]:
        connection = self._idle_connection() or FileConnection(self._file)
        try:
            rows = connection.execute(*statement).fetchall()
        except BaseException:
            connection.close()
            raise
        self._idle.append(connection)
        return rows

    def _idle_connection(self) -> FileConnection | None:
        with suppress(IndexError):
            while not (connection := self._idle.pop()).is_current:
                connection.close()
            return connection
        return None

    def _insert_in_thread(self, statements: Sequence[BoundStatement]) -> None:
        pooled = self.engine.raw_connection()
        connection = cast("sqlite3.Connection", pooled.driver_connection)
        try:
            if len(statements) == 1:  # a transaction of its own
                wait_for_lock(partial(connection.execute, *statements[0]))
                return
            wait_for_lock(partial(connection.execute, "BEGIN IMMEDIATE"))
            for statement in statements:
                connection.execute(*statement)
            connection.commit()
        finally:
            pooled.close()  # rolls back what is not committed

    def _bind_insert(self, table: Table, rows: Rows) -> Sequence[BoundStatement]:
        statement = self._insert_statement(table)
        values = statement.values(rows)
        most = _MAX_ARGUMENTS // len(table.columns)
        statements = []
        done = 0
        while left := min(len(values) - done, most):
            length = next((size for size in _CHUNKS if size <= left), left)
            statements.append(statement.bind(values[done : done + length]))
            done += length
        return statements

    def _close_loop_connection(self) -> None:
        if self._loop_connection is not None:
            self._loop_connection.close()
            self._loop_connection = None

    def _is_transient(self, error: BaseException) -> bool:
        # The busy timeout has usually passed, but SQLite skips it where it suspects a deadlock.
        return "locked" in str(error)

    def _is_rolled_back(self, error: BaseException) -> bool:
        return getattr(error, "sqlite_errorcode", 0) & 0xFF in _ROLLED_BACK

    def _classify_error(self, error: BaseException) -> DomainError | str | None:
        message = str(error)
        if isinstance(error, sqlite3.IntegrityError):
            return _violated_constraint(message)
        if "no such table" in message or isinstance(error, DatabaseFileNotFound):
            return StorageNotPrepared()
        if "locked" in message:
            return TooBusy()
        if "unable to open" in message:
            return StorageUnavailable(_CANNOT_BE_OPENED)
        if "not a database" in message or "malformed" in message:
            return StorageUnavailable("the SQLite file is damaged, or not a SQLite database")
        return StorageUnavailable() if isinstance(error, sqlite3.OperationalError) else None


def _discard_unless_current(connection: DBAPIConnection, _: object, __: object) -> None:
    if not cast("FileConnection", connection).is_current:
        raise DisconnectionError


def _begin_immediate(connection: Connection) -> None:
    """Take the write lock at once: a transaction that starts with a read cannot be upgraded later."""
    driver_connection = cast("sqlite3.Connection", connection.connection.driver_connection)
    wait_for_lock(partial(driver_connection.execute, "BEGIN IMMEDIATE"))


def _configure_writer(connection: DBAPIConnection, _: object) -> None:
    # Keys in random order touch a different index page each. The memory is only allocated as it is used, by the one
    # connection that writes.
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA cache_size = {-_CACHE_KIBIBYTES}")
    cursor.execute(f"PRAGMA wal_autocheckpoint = {_PAGES_BETWEEN_CHECKPOINTS}")
    cursor.execute("PRAGMA secure_delete = ON")
    cursor.execute(f"PRAGMA busy_timeout = {POLL_MILLISECONDS}")
    cursor.close()


def _violated_constraint(message: str) -> str:
    # SQLite names the columns, not the constraint.
    found = re.search(r"(\w+) constraint failed: (\w+\.(\w+))", message)
    if found is None:
        return "FOREIGN KEY"
    return f"NULL {found[3]}" if found[1] == "NULL" else found[2]
