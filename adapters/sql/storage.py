from typing import Final

from sqlalchemy import make_url, text
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.sql.database import Database
from adapters.sql.dialects.dialect import Dialect
from adapters.sql.dialects.mariadb import MariaDB
from adapters.sql.dialects.postgresql import PostgreSQL
from adapters.sql.dialects.sqlite import SQLite
from adapters.sql.repositories import SqlCredentialRepository, SqlPostRepository, SqlUserRepository
from adapters.sql.schema import is_behind, upgrade
from adapters.sql.sign_in_repositories import SqlSessionRepository, SqlSignInFailureRepository
from adapters.sql.staged_writes import StagedWrites
from adapters.storage_kind import StorageKind
from domain.errors import StorageNotPrepared

_DIALECTS: Final[dict[str, type[Dialect]]] = {
    "sqlite": SQLite,
    "postgresql": PostgreSQL,
    "mysql": MariaDB,
    "mariadb": MariaDB,
}


class SqlUnitOfWork:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._staged = StagedWrites()
        self.users = SqlUserRepository(database, self._staged)
        self.posts = SqlPostRepository(database, self._staged)
        self.credentials = SqlCredentialRepository(database, self._staged)
        self.sessions = SqlSessionRepository(database, self._staged)
        self.sign_in_failures = SqlSignInFailureRepository(database, self._staged)

    async def commit(self) -> None:
        writes = self._staged.take()

        async def apply(connection: AsyncConnection) -> None:
            for write in writes:
                await write(connection)

        if writes:
            await self._database.write(apply)


class SqlStorage:
    """Users in a relational database; a commit is durable as far as the server's own settings make it so."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    def open(cls, url: str) -> "SqlStorage":
        """Open a storage without connecting yet; raises `ValueError`, which never repeats the URL."""
        try:
            parsed = make_url(url)
        except (ArgumentError, ValueError):
            raise ValueError("write scheme://user:password@host:port/database") from None
        kind = _DIALECTS.get(parsed.drivername)
        if kind is None:
            raise ValueError(f"it must start with one of: {', '.join(f'{scheme}://' for scheme in _DIALECTS)}")
        dialect = kind()
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
        return SqlUnitOfWork(self._database)

    async def prepare(self) -> None:
        await self._database.migrate(upgrade)

    async def ping(self) -> None:
        revisions = await self._database.rows(text("SELECT version_num FROM alembic_version"))
        if is_behind({revision for (revision,) in revisions}):
            raise StorageNotPrepared

    async def close(self) -> None:
        await self._database.close()


SERVER: Final = StorageKind(SqlStorage.open)
EMBEDDED: Final = StorageKind(SqlStorage.open, embedded=True)
