import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from sqlalchemy import URL, Connection, Engine, Table, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, DisconnectionError, IntegrityError, OperationalError

from adapters.sql.connections import FileConnections, Pools, Work
from adapters.sql.dialects.dialect import ENGINE_OPTIONS, READING, Dialect
from adapters.sql.dialects.multi_row_inserts import insert_statements
from adapters.sql.dialects.own_thread_reads import OwnThreadReads
from adapters.sql.dialects.thread_inserts import ThreadInserts
from adapters.sql.inserts import Rows
from adapters.sql.sqlite.connection import NO_FILE, DatabaseFile, FileConnection
from adapters.sql.sqlite.erasure import Erasure
from domain.errors import DomainError, StorageNotPrepared, StorageUnavailable, TooBusy

T = TypeVar("T")

_READ_CONNECTIONS: Final = 4
_CACHE_KIBIBYTES: Final = 32_000
_PAGES_BETWEEN_CHECKPOINTS: Final = 4_000
_CANNOT_BE_OPENED: Final = "the SQLite file cannot be opened; see to its folder and to their permissions"


class SQLite(Dialect):
    """A file that several processes may share, in WAL mode with full durability.

    SQLite has one writer at a time. Within this process writers queue for one connection, which is fair; SQLite's
    own waiting, between processes, is not.
    """

    def connect(self, url: URL) -> Pools:
        driver_url = self._driver_url(url)
        file = DatabaseFile(str(driver_url.database))
        writes = self._engine(driver_url, file, pool_size=1)
        # Taking the write lock at once: a transaction that begins by reading could not be promoted later.
        event.listen(writes, "begin", self._begin_immediately)
        event.listen(writes, "connect", self._give_room)
        reading = FileConnections(
            self._engine(driver_url, file, pool_size=_READ_CONNECTIONS, **READING), _READ_CONNECTIONS, file.look
        )
        writing = _Writer(writes, file)
        return Pools(writing, writing, reading, OwnThreadReads(file, patient=reading), ThreadInserts(writing))

    @staticmethod
    def _driver_url(url: URL) -> URL:
        if url.host or url.username:
            raise ValueError("write sqlite:///file.db, or sqlite:////absolute/path/file.db")
        if not url.database or url.database == ":memory:" or "\0" in url.database:
            raise ValueError("it names no file; for a storage in memory use memory://")
        return url.set(drivername="sqlite+pysqlite")

    @staticmethod
    def _engine(url: URL, file: DatabaseFile, **options: Any) -> Engine:
        engine = create_engine(url, creator=partial(FileConnection, file), **ENGINE_OPTIONS, **options)
        event.listen(engine, "checkout", _discard_unless_current)
        return engine

    def make_place(self, url: URL) -> None:
        try:
            Path(str(url.database)).touch(mode=0o600)  # it will hold password hashes
        except OSError as error:
            raise StorageUnavailable(_CANNOT_BE_OPENED) from error

    def meaning(self, error: DBAPIError) -> DomainError | str | None:
        message = str(error.orig)
        if isinstance(error, IntegrityError):
            return self._violated_constraint(message)
        if "no such table" in message or message == NO_FILE:
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

    def insertion(self, table: Table, rows: Rows) -> Work[None]:
        # In the thread that writes it would take turns with this one at every value.
        statements = [*insert_statements(table, rows)]

        def insert(connection: Connection) -> None:
            for text, arguments in statements:
                connection.exec_driver_sql(text, arguments)

        return insert

    @contextmanager
    def migration_lock(self, connection: Connection) -> Iterator[None]:
        yield  # every write transaction holds one already

    @staticmethod
    def _violated_constraint(message: str) -> str:
        # SQLite names the columns, not the constraint.
        found = re.search(r"(\w+) constraint failed: (\w+\.(\w+))", message)
        if found is None:
            return "FOREIGN KEY"
        return f"NULL {found[3]}" if found[1] == "NULL" else found[2]

    @staticmethod
    def _give_room(connection: DBAPIConnection, _: object) -> None:
        # Keys that are by chance in order of nothing meet another page of an index each, again and again. Room is taken
        # as it is used, by the one connection that writes.
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA cache_size = {-_CACHE_KIBIBYTES}")
        cursor.execute(f"PRAGMA wal_autocheckpoint = {_PAGES_BETWEEN_CHECKPOINTS}")
        cursor.execute("PRAGMA secure_delete = ON")
        cursor.close()

    @staticmethod
    def _begin_immediately(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _discard_unless_current(connection: DBAPIConnection, _: object, __: object) -> None:
    if not cast("FileConnection", connection).is_current:
        raise DisconnectionError


class _Writer(FileConnections):
    """The one connection that writes."""

    def __init__(self, engine: Engine, file: DatabaseFile) -> None:
        super().__init__(engine, 1, file.look_again)
        self._erasure: Final = Erasure(file, engine, self.run_in_thread)

    async def run(self, work: Work[T]) -> T:
        try:
            return await super().run(work)
        finally:
            self._erasure.begin()

    async def close(self) -> None:
        await self._erasure.close()
        await super().close()
