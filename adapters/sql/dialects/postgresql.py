from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from sqlalchemy import URL, Column, Table, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import Insert

from adapters.sql.constraints import conflict
from adapters.sql.dialects.dialect import Dialect
from domain.errors import DomainError, StorageNotPrepared, StorageUnavailable, TooBusy

_CONNECT_TIMEOUT_SECONDS: Final = 5
_MIGRATION_LOCK: Final = 0x75736572706F7274  # "userport"


class PostgreSQL(Dialect):
    """PostgreSQL by asyncpg. Error codes: PostgreSQL's manual, appendix A."""

    options = frozenset({"sslmode"})

    def driver_url(self, url: URL) -> URL:
        self.check_database(url)
        # asyncpg takes libpq's values under another name.
        query = {"ssl" if name == "sslmode" else name: value for name, value in url.query.items()}
        return url.set(drivername="postgresql+asyncpg", query=query)

    def connect_args(self) -> Mapping[str, Any]:
        # The statements here are small; compiling them to machine code costs more than it saves.
        settings = {"application_name": "userport", "jit": "off"}
        return {"timeout": _CONNECT_TIMEOUT_SECONDS, "server_settings": settings}

    def meaning(self, error: DBAPIError) -> DomainError | None:
        match self._code(error):
            case "23505":
                name = str(getattr(error.orig and error.orig.__cause__, "constraint_name", ""))
                return conflict("pk" if name.endswith("_pkey") else name)
            case "23503":
                return conflict("fk")
            case "42P01":
                return StorageNotPrepared()
            case "40001" | "40P01" | "53300" | "55P03":  # lost to others, too many connections, lock not available
                return TooBusy()
            case "28000" | "28P01":
                return StorageUnavailable("PostgreSQL refuses the user or the password in the storage URL")
            case "42501":
                return StorageUnavailable("PostgreSQL denies the user in the storage URL a privilege that it needs")
            case "25006":
                return StorageUnavailable("PostgreSQL is read-only: a standby, or default_transaction_read_only")
            case "3D000":
                return StorageUnavailable("PostgreSQL has no database of the name in the storage URL")
            case str(code) if code[:2] in {"08", "53", "57", "58", "XX"}:  # connection, resources, operator, system
                return StorageUnavailable()
        lost = error.connection_invalidated or isinstance(error, InterfaceError | OperationalError)
        return StorageUnavailable() if lost else None

    def may_be_repeated(self, error: DBAPIError) -> bool:
        # Serialization failure, deadlock, a plan from before a migration, a server that is shutting down.
        return self._code(error) in {"40001", "40P01", "0A000", "57P01", "57P02", "57P03"}

    def upsert(self, table: Table, key: Column[Any], values: Mapping[str, Any]) -> Insert:
        return insert(table).values(values).on_conflict_do_update(index_elements=[key], set_=dict(values))

    @asynccontextmanager
    async def migration_lock(self, connection: AsyncConnection) -> AsyncIterator[None]:
        await connection.execute(select(func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
        yield  # the end of the transaction frees it

    @staticmethod
    def _code(error: DBAPIError) -> str | None:
        return getattr(error.orig, "sqlstate", None)
