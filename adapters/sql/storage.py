from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import Any, Final, Self, cast

from sqlalchemy import Select, Table, column, make_url, select, table
from sqlalchemy.exc import ArgumentError

from adapters.purging import BackgroundPurge
from adapters.sql.commits import Commits
from adapters.sql.database import Database
from adapters.sql.dialects.dialect import Dialect
from adapters.sql.migrations import is_behind
from adapters.sql.record_tables import RecordTable, conflict_errors
from adapters.sql.records import RecordReads, SqlRecords
from adapters.sql.removals import UserRemovals
from adapters.sql.staged_writes import StagedWrites
from adapters.sql.tables import TABLES, USERS
from adapters.sql.users import SqlUserRepository, UserReads
from adapters.sql.writes import PendingInsert
from adapters.storage_plugin import StoragePlugin
from domain.errors import IdTaken, StorageNotPrepared, TooBusy
from domain.record_types import RECORD_TYPES
from domain.records import R, RecordType

_REVISIONS: Final[Select[Any]] = select(column("version_num")).select_from(table("alembic_version"))
_DIALECTS: Final = {"sqlite": "SQLite", "postgresql": "PostgreSQL", "mysql": "MariaDB", "mariadb": "MariaDB"}


class SqlUnitOfWork:
    def __init__(self, reads: "Reads", commits: Commits, purge: BackgroundPurge) -> None:
        self._reads = reads
        self._commits = commits
        self._purge = purge
        self._staged = StagedWrites(reads.database.dialect)
        self.users = SqlUserRepository(reads.users, self._staged, reads.removals)

    def records(self, record_type: RecordType[R]) -> SqlRecords[R]:
        return SqlRecords(self._reads.records[record_type], self._staged)

    async def commit(self) -> None:
        writes = self._staged.take()
        removals = self._reads.removals
        try:
            await self._commits.apply(writes)
        except IdTaken:
            added = [write for write in writes if isinstance(write, PendingInsert) and write.table is USERS]
            ids = [str(row["id"]) for insert in added for row in insert.rows]
            if ids and await removals.are_being_removed(ids):
                raise TooBusy from None
            raise
        if removals.has_tombstones:
            removals.has_tombstones = False
            self._purge.wake()


class Reads:
    """What all units of work share."""

    def __init__(self, database: Database, record_tables: Sequence[RecordTable[Any]]) -> None:
        self.database: Final = database
        self.users: Final = UserReads(database)
        self.records: Final = {each.record_type: RecordReads(database, each) for each in record_tables}
        self.removals: Final = UserRemovals(database, record_tables)


class SqlStorage:
    """Users in a relational database; a commit is durable as far as the server's own settings make it so."""

    def __init__(self, database: Database, record_tables: Sequence[RecordTable[Any]]) -> None:
        self._database: Final = database
        self._reads: Final = Reads(database, record_tables)
        self._commits: Final = Commits(database, [USERS, *(each.table for each in record_tables)])
        self._purge: Final = BackgroundPurge(self._reads.removals.purge_batch)
        self._is_used = False

    @classmethod
    def open(
        cls,
        url: str,
        record_types: Sequence[RecordType[Any]] = RECORD_TYPES,
        tables: Mapping[str, Table] = TABLES,
    ) -> Self:
        """Open a storage without connecting yet.

        Raises `ValueError`, which never repeats the URL, and `RecordTypeNotSupported` for a record type that does not
        match its table.
        """
        try:
            parsed = make_url(url)
        except (ArgumentError, ValueError):
            raise ValueError("write scheme://user:password@host:port/database") from None
        if parsed.drivername not in _DIALECTS:
            raise ValueError(f"it must start with one of: {', '.join(f'{scheme}://' for scheme in _DIALECTS)}")
        dialect = _dialect(_DIALECTS[parsed.drivername])
        if "?" in url and not parsed.query:
            raise ValueError("it has a '?' that begins no option=value; in a name or a password, write %3F for it")
        unknown = parsed.query.keys() - dialect.options
        if unknown:
            known = ", ".join(sorted(dialect.options)) or "none"
            raise ValueError(f"it has options that are not known behind the '?'; known: {known}")
        record_tables = [RecordTable(record_type, tables) for record_type in record_types]
        return cls(Database(parsed, dialect, conflict_errors(record_tables)), record_tables)

    @property
    def database(self) -> Database:
        return self._database

    @property
    def connections_in_use(self) -> int:
        """How many pooled connections are checked out at this moment."""
        return self._database.connections_in_use

    def unit_of_work(self) -> SqlUnitOfWork:
        if not self._is_used:
            self._is_used = True
            self._purge.wake()  # to go on with what another process has left
        return SqlUnitOfWork(self._reads, self._commits, self._purge)

    async def prepare(self) -> None:
        try:
            await self.ping()
        except StorageNotPrepared:
            from adapters.sql.schema import upgrade  # with Alembic, which is seldom needed and starts slowly

            await self._database.migrate(upgrade)

    async def ping(self) -> None:
        rows = await self._database.rows(_REVISIONS)
        if is_behind({revision for (revision,) in rows}):
            raise StorageNotPrepared
        self._purge.wake()

    async def close(self) -> None:
        await self._purge.close()
        await self._database.close()


@cache
def _dialect(name: str) -> Dialect:
    """Load a dialect by itself: each brings another part of SQLAlchemy, which takes its time."""
    module = import_module(f"adapters.sql.dialects.{name.lower()}")
    return cast("Dialect", getattr(module, name)())


SERVER: Final = StoragePlugin(SqlStorage.open)
EMBEDDED: Final = StoragePlugin(SqlStorage.open, embedded=True)
