"""Sessions of PostgreSQL: opened directly, or by a pooler such as PgBouncer."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, ClassVar, Final, TypeAlias, TypeVar

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from domain.errors import StorageUnavailable

T = TypeVar("T")

Settings: TypeAlias = Mapping[str, str]
_Connect: TypeAlias = Callable[[], Awaitable[asyncpg.Connection]]

NEEDS_POOLER_OPTION: Final = (
    "PostgreSQL is behind a pooler in transaction mode: add ?pooler=transaction to the storage URL"
)

_CONNECT_TIMEOUT_SECONDS: Final = 5
_BACKEND_PID: Final = "SELECT pg_backend_pid()"
_ARRAYS: Final = "SELECT " + ", ".join(
    f"NULL::{of}[]" for of in ("bool", "bytea", "int8", "text", "timestamptz", "uuid", "varchar")
)


class Sessions:
    """Opens a session for each connection, whose settings and prepared statements last as long as it does.

    Settings are sent once it is open, since a pooler refuses startup parameters that it does not know.
    """

    driver_options: ClassVar[Mapping[str, Any]] = {}
    """Further arguments of asyncpg."""

    adapter_options: ClassVar[Mapping[str, Any]] = {}
    """Further arguments of SQLAlchemy's adapter of asyncpg."""

    def __init__(self) -> None:
        self._is_known_to_last = False

    async def open(self, settings: Settings, _dsn: None = None, **arguments: Any) -> asyncpg.Connection:
        """Connect, with the arguments of asyncpg's `connect`."""
        connect = partial(asyncpg.connect, timeout=_CONNECT_TIMEOUT_SECONDS, **arguments, **self.driver_options)
        connection = await connect()
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT_SECONDS):
                await self._begin(connection, settings, connect)
        except BaseException:
            connection.terminate()
            raise
        return connection

    async def run(
        self,
        connection: PoolConnectionProxy,
        settings: Settings,
        operation: Callable[[], Awaitable[T]],
    ) -> T:
        """Run an operation under the settings that the session was opened with."""
        return await operation()

    async def _begin(self, connection: asyncpg.Connection, settings: Settings, connect: _Connect) -> None:
        if not self._is_known_to_last:
            await _check_that_it_lasts(connection, connect)
            self._is_known_to_last = True
        await connection.execute("; ".join(f"SET {name} = '{value}'" for name, value in settings.items()))


class SharedSessions(Sessions):
    """Works by a pooler in transaction mode, where each transaction may have another session.

    So nothing outlasts a transaction, neither a setting nor a prepared statement, and nothing happens outside of one.
    """

    driver_options: ClassVar = {"statement_cache_size": 0}
    adapter_options: ClassVar = {"prepared_statement_cache_size": 0}

    async def run(
        self, connection: PoolConnectionProxy, settings: Settings, operation: Callable[[], Awaitable[T]]
    ) -> T:
        """Run an operation in a transaction with these settings."""
        local = (f"SET LOCAL {name} = '{value}'" for name, value in settings.items())
        await connection.execute("; ".join(("BEGIN", *local)))
        try:
            result = await operation()
        except Exception:
            with suppress(Exception):  # the connection is lost, and the transaction with it
                await connection.execute("ROLLBACK")
            raise
        await connection.execute("COMMIT")
        return result

    async def _begin(self, connection: asyncpg.Connection, settings: Settings, connect: _Connect) -> None:
        # asyncpg looks up the arrays that it meets, once a connection, and changes a setting meanwhile.
        await connection.execute("BEGIN")
        await connection.prepare(_ARRAYS)
        await connection.execute("ROLLBACK")


async def _check_that_it_lasts(connection: asyncpg.Connection, connect: _Connect) -> None:
    """Raise `StorageUnavailable` if another connection gets the session of this one while it is idle."""
    pid = await connection.fetchval(_BACKEND_PID)
    if pid == connection.get_server_pid():
        return  # there is no pooler, which would make up a number of its own
    other = await connect()
    try:
        await other.execute("BEGIN")
        pids = await other.fetchval(_BACKEND_PID), await connection.fetchval(_BACKEND_PID)
    finally:
        other.terminate()
    if pids[0] == pid or pids[1] != pid:
        raise StorageUnavailable(NEEDS_POOLER_OPTION)
