from functools import cache
from importlib import import_module
from typing import Any, Final, cast

from sqlalchemy import Select, column, make_url, select, table
from sqlalchemy.exc import ArgumentError

from adapters.sql.commits import Commits
from adapters.sql.database import Database
from adapters.sql.dialects.dialect import Dialect
from adapters.sql.reads import Reads
from adapters.sql.repositories import SqlCredentialRepository, SqlPostRepository, SqlUserRepository
from adapters.sql.sign_in_repositories import SqlSessionRepository, SqlSignInFailureRepository
from adapters.sql.staged_writes import StagedWrites
from adapters.sql.tables import REVISION
from adapters.storage_plugin import StoragePlugin
from domain.errors import StorageNotPrepared

_REVISIONS: Final[Select[Any]] = select(column("version_num")).select_from(table("alembic_version"))
_DIALECTS: Final = {"sqlite": "SQLite", "postgresql": "PostgreSQL", "mysql": "MariaDB", "mariadb": "MariaDB"}


class SqlUnitOfWork:
    """Most units want users alone; the other repositories, which remember nothing, are made when they are wanted."""

    def __init__(self, reads: Reads, commits: Commits) -> None:
        self._reads = reads
        self._commits = commits
        self._staged = StagedWrites(reads.database.dialect)
        self.users = SqlUserRepository(reads, self._staged)

    @property
    def posts(self) -> SqlPostRepository:
        return SqlPostRepository(self._reads, self._staged)

    @property
    def credentials(self) -> SqlCredentialRepository:
        return SqlCredentialRepository(self._reads, self._staged)

    @property
    def sessions(self) -> SqlSessionRepository:
        return SqlSessionRepository(self._reads, self._staged)

    @property
    def sign_in_failures(self) -> SqlSignInFailureRepository:
        return SqlSignInFailureRepository(self._reads, self._staged)

    async def commit(self) -> None:
        await self._commits.apply(self._staged.take())


class SqlStorage:
    """Users in a relational database; a commit is durable as far as the server's own settings make it so."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._reads = Reads(database)
        self._commits = Commits(database)

    @classmethod
    def open(cls, url: str) -> "SqlStorage":
        """Open a storage without connecting yet; raises `ValueError`, which never repeats the URL."""
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
        return cls(Database(parsed, dialect))

    @property
    def database(self) -> Database:
        return self._database

    @property
    def connections_in_use(self) -> int:
        """How many pooled connections are checked out at this moment."""
        return self._database.connections_in_use

    def unit_of_work(self) -> SqlUnitOfWork:
        return SqlUnitOfWork(self._reads, self._commits)

    async def prepare(self) -> None:
        try:
            await self.ping()
        except StorageNotPrepared:
            from adapters.sql.schema import upgrade  # with Alembic, which is seldom needed and starts slowly

            await self._database.migrate(upgrade)

    async def ping(self) -> None:
        rows = await self._database.rows(_REVISIONS)
        revisions = {revision for (revision,) in rows}
        if REVISION not in revisions:
            from adapters.sql.schema import is_behind

            if is_behind(revisions):
                raise StorageNotPrepared

    async def close(self) -> None:
        await self._database.close()


@cache
def _dialect(name: str) -> Dialect:
    """Load a dialect by itself: each brings another part of SQLAlchemy, which takes its time."""
    module = import_module(f"adapters.sql.dialects.{name.lower()}")
    return cast("Dialect", getattr(module, name)())


SERVER: Final = StoragePlugin(SqlStorage.open)
EMBEDDED: Final = StoragePlugin(SqlStorage.open, embedded=True)
