import re
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, Final, Self

from sqlalchemy import Select, Table, column, make_url, select, table
from sqlalchemy.exc import ArgumentError

from adapters.purging import BackgroundPurge
from adapters.sql.engine.backend import Backend
from adapters.sql.engine.commits import GroupCommitter
from adapters.sql.engine.database import Database
from adapters.sql.engine.writes import PendingInsert, StagedWrite, planned
from adapters.sql.migrations import is_behind
from adapters.sql.record_tables import RecordTable, conflict_errors
from adapters.sql.records import RecordQueries, SqlRecords
from adapters.sql.removals import UserRemovals
from adapters.sql.tables import TABLES, USERS
from adapters.sql.users import SqlUserRepository, UserQueries
from adapters.storage_plugin import StoragePlugin
from domain.errors import DomainError, IdTaken, StorageNotPrepared, TooBusy
from domain.record_types import RECORD_TYPES
from domain.records import R, RecordType

_REVISIONS: Final[Select[Any]] = select(column("version_num")).select_from(table("alembic_version"))
_BACKENDS: Final = {
    "sqlite": "sqlite.backend:SQLite",
    "postgresql": "postgresql.backend:PostgreSQL",
    "mysql": "mariadb.backend:MariaDB",
    "mariadb": "mariadb.backend:MariaDB",
}

_PAUSE_FACTOR: Final = 2  # so that other processes, which poll SQLite's lock, find it free


class SqlUnitOfWork:
    """Reads, and writes that one commit applies."""

    def __init__(self, shared: "SharedState") -> None:
        self._shared = shared
        self._staged: list[StagedWrite] = []
        self.users = SqlUserRepository(shared.users, self._staged, shared.removals)

    def records(self, record_type: RecordType[R]) -> SqlRecords[R]:
        return SqlRecords(self._shared.records(record_type), self._staged)

    async def commit(self) -> None:
        writes = planned(self._staged)
        self._staged.clear()
        try:
            await self._shared.committer.commit(writes)
        except IdTaken:
            added = [write for write in writes if isinstance(write, PendingInsert) and write.table is USERS]
            ids = [str(row["id"]) for insert in added for row in insert.rows]
            if ids and await self._shared.removals.are_being_removed(ids):
                raise TooBusy from None
            raise
        if self._shared.removals.has_tombstones:
            self._shared.removals.has_tombstones = False
            self._shared.purge.wake()


class SharedState:
    """The state that all units of work share: queries, batches and background work."""

    def __init__(self, database: Database, record_tables: Sequence[RecordTable[Any]]) -> None:
        self.users: Final = UserQueries(database)
        self._database: Final = database
        self._record_tables: Final = {each.record_type: each for each in record_tables}
        self._records: Final[dict[RecordType[Any], RecordQueries[Any]]] = {}
        self.removals: Final = UserRemovals(database, record_tables)
        self.committer: Final = GroupCommitter(database, [USERS, *(each.table for each in record_tables)])
        self.purge: Final = BackgroundPurge(self.removals.purge_batch, pause_factor=_PAUSE_FACTOR)

    def records(self, record_type: RecordType[R]) -> RecordQueries[R]:
        """Return the queries of a type, which are built when it is first used: a command needs few of them."""
        if record_type not in self._records:
            self._records[record_type] = RecordQueries(self._database, self._record_tables[record_type])
        return self._records[record_type]


class SqlStorage:
    """Storage in a relational database. The server's own settings decide how durable a commit is."""

    def __init__(self, database: Database, record_tables: Sequence[RecordTable[Any]]) -> None:
        self.database: Final = database
        self._shared: Final = SharedState(database, record_tables)
        self._is_used = False

    @classmethod
    def open(
        cls,
        url: str,
        record_types: Sequence[RecordType[Any]] = RECORD_TYPES,
        tables: Mapping[str, Table] = TABLES,
    ) -> Self:
        """Open a storage without connecting.

        Raises:
            ValueError: The URL is wrong. The text never contains the URL.
            RecordTypeNotSupported: A record type does not match its table.
        """
        record_tables = [RecordTable(record_type, tables) for record_type in record_types]
        return cls(Database(_open_backend(url, conflict_errors(record_tables))), record_tables)

    @property
    def connections_in_use(self) -> int:
        """The number of connections in use."""
        return self.database.backend.connections_in_use

    @property
    def connections_idle(self) -> int:
        """The number of open connections that are not in use."""
        return self.database.backend.connections_idle

    def observe_batches(self, count: Callable[[str, int], None]) -> None:
        """Call a function with the operation and the size of each batch of calls that are served together."""
        self.database.batches.count = count

    def unit_of_work(self) -> SqlUnitOfWork:
        if not self._is_used:
            self._is_used = True
            self._shared.purge.wake()  # resume what another process has left
        return SqlUnitOfWork(self._shared)

    async def prepare(self) -> None:
        try:
            await self.ping()
        except StorageNotPrepared:
            from adapters.sql.schema import upgrade  # imports Alembic, which is slow and rarely needed

            await self.database.migrate(upgrade)

    async def ping(self) -> None:
        rows = await self.database.fetch(_REVISIONS)
        if is_behind({revision for (revision,) in rows}):
            raise StorageNotPrepared
        self._shared.purge.wake()

    async def close(self) -> None:
        await self._shared.purge.close()
        await self.database.close()


def _open_backend(url: str, conflicts: Mapping[str, type[DomainError]]) -> Backend:
    url_of_one, hosts = _split_hosts(url)
    try:
        parsed = make_url(url_of_one)
    except (ArgumentError, ValueError):
        raise ValueError("write scheme://user:password@host:port/database") from None
    if parsed.drivername not in _BACKENDS:
        raise ValueError(f"it must start with one of: {', '.join(f'{scheme}://' for scheme in _BACKENDS)}")
    # Imported on demand: each backend imports another part of SQLAlchemy, which is slow.
    module, name = _BACKENDS[parsed.drivername].split(":")
    backend: type[Backend] = getattr(import_module(f"adapters.sql.{module}"), name)
    if "?" in url and not parsed.query:
        raise ValueError("it has a '?' that does not start an option=value; in a name or a password, write %3F")
    unknown = parsed.query.keys() - backend.options
    if unknown:
        known = ", ".join(sorted(backend.options)) or "none"
        raise ValueError(f"it has an unknown option; known: {known}")
    if not all(isinstance(value, str) for value in parsed.query.values()):
        raise ValueError("it repeats an option")
    if parsed.port is not None and not 0 < parsed.port < 65_536:
        raise ValueError("its port must be a number from 1 to 65535")
    if hosts and parsed.drivername != "postgresql":
        raise ValueError("it names several hosts, which only PostgreSQL takes")
    return backend(parsed.update_query_dict({"host": hosts}) if hosts else parsed, conflicts)


def _split_hosts(url: str) -> tuple[str, str]:
    """Return a URL with the first of its hosts alone, and all of them if there are several."""
    match = re.fullmatch(r"(\w+://(?:.*@)?)([^@/?]*,[^@/?]*)([/?].*)?", url)
    if match is None:
        return url, ""
    return f"{match[1]}{match[2].partition(',')[0]}{match[3] or ''}", match[2]


SERVER: Final = StoragePlugin(SqlStorage.open)
EMBEDDED: Final = StoragePlugin(SqlStorage.open, embedded=True)
