from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import URL, Column, ColumnElement, Connection, Table, any_, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from adapters.sql.connections import Pools, Work
from adapters.sql.dialects.array_inserts import as_arrays, insert_arrays
from adapters.sql.dialects.asyncpg_connections import AsyncpgConnections
from adapters.sql.dialects.asyncpg_inserts import AsyncpgInserts
from adapters.sql.dialects.asyncpg_reads import AsyncpgReads
from adapters.sql.dialects.server_dialect import ServerDialect
from adapters.sql.inserts import Rows
from domain.errors import DomainError, StorageNotPrepared, StorageUnavailable, TooBusy

_CONNECT_TIMEOUT_SECONDS: Final = 5
_BRIEF_READ_CONNECTIONS: Final = 4
_INSERT_CONNECTIONS: Final = 2
_SHORT_WAIT: Final = "50ms"
_MIGRATION_LOCK: Final = 0x75736572706F7274  # "userport"


class PostgreSQL(ServerDialect):
    """PostgreSQL by asyncpg. Error codes: PostgreSQL's manual, appendix A."""

    options = frozenset({"sslmode"})
    read_connections = 4  # as many as for brief reads
    shared_write_connections = 1  # since additions have their own
    write_connections = 5

    def driver_url(self, url: URL) -> URL:
        self.check_database(url)
        # asyncpg takes libpq's values under another name.
        query = {"ssl" if name == "sslmode" else name: value for name, value in url.query.items()}
        return url.set(drivername="postgresql+asyncpg", query=query)

    def connect_args(self, *, waits: bool) -> Mapping[str, Any]:
        # The statements here are small; compiling them to machine code costs more than it saves.
        settings = {"application_name": "userport", "jit": "off", **({} if waits else {"lock_timeout": _SHORT_WAIT})}
        return {"timeout": _CONNECT_TIMEOUT_SECONDS, "server_settings": settings}

    def connect(self, url: URL) -> Pools:
        pools = super().connect(url)
        dialect = pools.reads.engine.dialect
        _, arguments = dialect.create_connect_args(self.driver_url(url))

        def connections(most: int, *, waits: bool) -> AsyncpgConnections:
            return AsyncpgConnections({**arguments, **self.connect_args(waits=waits)}, most)

        return pools._replace(
            inserts=AsyncpgInserts(connections(_INSERT_CONNECTIONS, waits=False), dialect),
            brief_reads=AsyncpgReads(connections(_BRIEF_READ_CONNECTIONS, waits=True), patient=pools.reads),
        )

    def is_one_of(self, column: Column[Any], parameter: str) -> ColumnElement[bool]:
        # One statement, and so one plan, for any number of them.
        return column == any_(bindparam(parameter, type_=ARRAY(column.type)))

    def meaning(self, error: DBAPIError) -> DomainError | str | None:
        match self._code(error):
            case "23503" | "23505":
                return str(getattr(error.orig and error.orig.__cause__, "constraint_name", ""))
            case "23502":
                return f"NULL {getattr(error.orig and error.orig.__cause__, 'column_name', '')}"
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

    def insertion(self, table: Table, rows: Rows) -> Work[None]:
        # An array for each column, since the server takes one large statement much faster than many small ones.
        statement, arrays = insert_arrays(table), as_arrays(table, rows)

        def insert(connection: Connection) -> None:
            connection.execute(statement, arrays)

        return insert

    @contextmanager
    def migration_lock(self, connection: Connection) -> Iterator[None]:
        connection.execute(select(func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
        yield  # the end of the transaction frees it

    @staticmethod
    def _code(error: DBAPIError) -> str | None:
        return getattr(error.orig, "sqlstate", None)
