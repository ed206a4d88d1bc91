import asyncio
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any, ClassVar, Final, TypeVar

import asyncpg
from sqlalchemy import (
    URL,
    Column,
    ColumnElement,
    Connection,
    ExceptionContext,
    Insert,
    String,
    Table,
    Text,
    any_,
    bindparam,
    func,
    select,
)
from sqlalchemy import column as sql_column
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.exc import InterfaceError
from sqlalchemy.types import TypeEngine

from adapters.postgresql_errors import UNCERTAIN, translate_error
from adapters.sql.engine.backend import TransactionCallback, run_statements
from adapters.sql.engine.pools import ConnectionLost
from adapters.sql.engine.server import ServerBackend
from adapters.sql.engine.statements import BoundStatement, CompiledStatement, Rows
from adapters.sql.postgresql.hosts import Hosts
from adapters.sql.postgresql.sessions import (
    NEEDS_POOLER_OPTION,
    POOLER_REFUSES_PARAMETER,
    AsyncpgPool,
    Sessions,
    SharedSessions,
)
from adapters.sql.tables import live_owner, owner_of
from adapters.storage_urls import Address, parse_hosts
from adapters.tls import check_authorities
from domain.errors import DomainError, StorageUnavailable, TooBusy

T = TypeVar("T")

_DEFAULT_PORT: Final = 5432
_FORM: Final = "postgresql://user:password@host:5432,host:5432/name"
_NAMED: Final = {"application_name": "userport"}
"""A startup parameter, which poolers know."""

# JIT compilation costs more than it saves for small statements.
_SETTINGS: Final = {"jit": "off"}
_SHORT_LOCK_WAIT: Final = {"lock_timeout": "50ms"}
_MIGRATION_LOCK: Final = 0x75736572706F7274  # "userport"

# The server rejects a row, because of a value or a constraint (PostgreSQL's manual, appendix A).
_ROW_REFUSED: Final = ("22", "23")

_TLS_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


class PostgreSQL(ServerBackend[AsyncpgPool]):
    """Backend for PostgreSQL. Error codes: PostgreSQL's manual, appendix A."""

    options: ClassVar = frozenset({"pooler", "sslmode", "target_session_attrs"})

    def __init__(self, url: URL, conflicts: Mapping[str, type[DomainError]]) -> None:
        _check_tls(url.query.get("sslmode", "prefer"))
        if url.query.get("pooler", "transaction") != "transaction":
            raise ValueError("its option pooler must be transaction; a pooler in session mode needs no option")
        hosts = _hosts(url)
        self._sessions: Final = (SharedSessions if "pooler" in url.query else Sessions)(hosts)
        # asyncpg has another name for libpq's values.
        tls = {"ssl": url.query["sslmode"]} if "sslmode" in url.query else {}
        super().__init__(url.set(drivername="postgresql+asyncpg", query=tls), conflicts)
        self._insert_statement: Final = cache(lambda table: CompiledStatement(_insert_arrays(table), self.dialect))

    async def insert(self, table: Table, rows: Rows) -> None:
        try:
            await self._inserts.execute(self._bind_insert(table, rows))
        except ConnectionLost as error:
            raise StorageUnavailable from error
        except asyncpg.PostgresError as error:
            if str(error.sqlstate).startswith(_ROW_REFUSED):
                raise self.translate_error(error) from error
            raise TooBusy if self._is_rolled_back(error) else StorageUnavailable from error

    async def transact(self, callback: TransactionCallback[T]) -> T:
        with self._sessions.watched():
            return await super().transact(callback)

    async def close(self) -> None:
        self._sessions.close()
        await super().close()

    def is_one_of(self, column: Column[Any], parameter: str) -> ColumnElement[bool]:
        # One statement, and so one plan, for lists of any length.
        return column == any_(bindparam(parameter, type_=ARRAY(column.type)))

    def insertion(self, table: Table, rows: Rows) -> TransactionCallback[None]:
        return run_statements([self._bind_insert(table, rows)])

    @contextmanager
    def migration_lock(self, connection: Connection) -> Iterator[None]:
        connection.execute(select(func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
        yield  # the end of the transaction releases the lock

    def _engine_args(self) -> Mapping[str, Any]:
        open_session = partial(self._sessions.open, _SETTINGS)
        return {"async_creator_fn": open_session, "server_settings": _NAMED, **self._sessions.adapter_options}

    def _pool(self, size: int, url_args: Mapping[str, Any], *, lock_waits: bool) -> AsyncpgPool:
        settings = _SETTINGS if lock_waits else {**_SETTINGS, **_SHORT_LOCK_WAIT}
        return AsyncpgPool(size, {**url_args, "server_settings": _NAMED}, self._sessions, settings)

    def _bind_insert(self, table: Table, rows: Rows) -> BoundStatement:
        """Bind one array per column: one large statement is much faster than many small ones."""
        statement = self._insert_statement(table)
        return statement.bind({column.name: [row[column.name] for row in rows] for column in table.columns})

    def _discard_broken(self, context: ExceptionContext) -> InterfaceError | None:
        connection, is_commit = context.connection, context.statement is None
        if connection is not None and is_commit and isinstance(context.original_exception, asyncio.CancelledError):
            # asyncpg would ask the server to cancel the commit, which then ends its wait for synchronous standbys and
            # shows readers what a failover undoes.
            driver_connection: Any = connection.connection.driver_connection
            driver_connection.terminate()
        return super()._discard_broken(context)

    def _driver_error(self, error: Exception) -> BaseException:
        original = super()._driver_error(error)
        return original if original is error else original.__cause__ or original  # SQLAlchemy wraps asyncpg's errors

    def _is_transient(self, error: BaseException) -> bool:
        # serialization failure, deadlock, a plan from before a migration, a server that is shutting down
        return _code(error) in {"40001", "40P01", "0A000", "57P01", "57P02", "57P03"}

    def _is_rolled_back(self, error: BaseException) -> bool:
        code = _code(error)
        return code is not None and not code.startswith(UNCERTAIN)

    def _classify_error(self, error: BaseException) -> DomainError | str | None:
        match _code(error):
            case "23503" | "23505":
                return str(getattr(error, "constraint_name", ""))
            case "23502":
                return f"NULL {getattr(error, 'column_name', '')}"
            case "26000" | "42P05":  # there is no such prepared statement, or another connection's
                return StorageUnavailable(NEEDS_POOLER_OPTION)
            case "08P01" if "startup parameter" in str(error):  # only poolers refuse one like this
                return StorageUnavailable(POOLER_REFUSES_PARAMETER)
        return translate_error(error)


def _hosts(url: URL) -> Hosts | None:
    """Return the servers, unless there is one that needs no check."""
    target = url.query.get("target_session_attrs")
    text = url.query.get("host")
    if target is None and text is None:
        return None
    hosts = (
        parse_hosts(str(text), _DEFAULT_PORT, _FORM)
        if text
        else [Address(url.host or "localhost", url.port or _DEFAULT_PORT)]
    )
    return Hosts(hosts, str(target or "read-write"))


def _insert_arrays(table: Table) -> Insert:
    arrays = (bindparam(column.name, type_=ARRAY(_of_any_length(column), dimensions=1)) for column in table.columns)
    columns = (sql_column(column.name, _of_any_length(column)) for column in table.columns)
    rows = func.unnest(*arrays).table_valued(*columns).render_derived()
    owner = owner_of(table)
    values = (live_owner(rows.c[column.name]) if column is owner else rows.c[column.name] for column in table.columns)
    return insert(table).from_select([*table.columns], select(*values))


def _of_any_length(column: Column[Any]) -> TypeEngine[Any]:
    """Return a type without a length, so that the column rejects a text that is too long; a cast would truncate it."""
    return Text() if isinstance(column.type, String) else column.type


def _code(error: BaseException) -> str | None:
    return getattr(error, "sqlstate", None)


def _check_tls(mode: object) -> None:
    if mode not in _TLS_MODES:
        raise ValueError(f"its option sslmode must be one of: {', '.join(_TLS_MODES)}")
    if mode in {"verify-ca", "verify-full"}:
        file = os.environ.get("PGSSLROOTCERT") or "~/.postgresql/root.crt"
        what = "the file of authorities for its sslmode (~/.postgresql/root.crt, unless PGSSLROOTCERT names another)"
        check_authorities(what, str(Path(file).expanduser()))
