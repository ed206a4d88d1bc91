"""PostgreSQL sessions, direct or through a pooler such as PgBouncer, and asyncpg's pool of them."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from typing import Any, ClassVar, Final, TypeAlias, TypeVar

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from adapters.sql.engine.pools import DriverPool
from adapters.sql.engine.statements import BoundStatement
from adapters.sql.postgresql.hosts import Hosts
from domain.errors import StorageUnavailable, TooBusy

T = TypeVar("T")

Settings: TypeAlias = Mapping[str, str]
_Connect: TypeAlias = Callable[[], Awaitable[asyncpg.Connection]]

NEEDS_POOLER_OPTION: Final = (
    "PostgreSQL is behind a pooler in transaction mode: add ?pooler=transaction to the storage URL"
)
POOLER_REFUSES_PARAMETER: Final = (
    "a pooler in front of PostgreSQL refuses a startup parameter: let it accept application_name (PgBouncer: "
    "ignore_startup_parameters), and in transaction mode add ?pooler=transaction to the storage URL"
)

_CONNECT_TIMEOUT_SECONDS: Final = 5
_CLOSE_TIMEOUT_SECONDS: Final = 2
_LOST_CONNECTION: Final = "08"  # PostgreSQL's manual, appendix A
_BACKEND_PID: Final = "SELECT pg_backend_pid()"
_ARRAYS: Final = "SELECT " + ", ".join(
    f"NULL::{of}[]" for of in ("bool", "bytea", "int8", "text", "timestamptz", "uuid", "varchar")
)


class Sessions:
    """Sessions that last as long as their connection, with their settings and prepared statements.

    Settings are sent after connecting, because poolers reject unknown startup parameters.
    """

    driver_options: ClassVar[Mapping[str, Any]] = {}
    """Further arguments of asyncpg."""

    adapter_options: ClassVar[Mapping[str, Any]] = {}
    """Further arguments of SQLAlchemy's adapter of asyncpg."""

    def __init__(self, hosts: Hosts | None) -> None:
        """`hosts` are several servers; None is the one that the arguments name."""
        self._hosts: Final = hosts
        self._is_verified = False

    async def open(self, settings: Settings, _dsn: None = None, **arguments: Any) -> asyncpg.Connection:
        """Connect, with the arguments of asyncpg's `connect`."""
        options = {"timeout": _CONNECT_TIMEOUT_SECONDS, **arguments, **self.driver_options}

        async def connect() -> asyncpg.Connection:
            connection: asyncpg.Connection
            if self._hosts is None:
                connection = await asyncpg.connect(**options)
            else:
                connection = await self._hosts.connect(**options)
            return connection

        connection = await connect()
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT_SECONDS):
                await self._begin(connection, settings, connect)
        except BaseException:
            connection.terminate()
            raise
        return connection

    async def run(
        self, connection: PoolConnectionProxy, settings: Settings, operation: Callable[[], Awaitable[T]]
    ) -> T:
        """Run an operation with the settings of the session."""
        with self.watched():
            return await operation()

    def watched(self) -> AbstractContextManager[None]:
        """Watch an operation, which a lost server may never end."""
        return nullcontext() if self._hosts is None else self._hosts.watched()

    def close(self) -> None:
        if self._hosts is not None:
            self._hosts.close()

    async def _begin(self, connection: asyncpg.Connection, settings: Settings, connect: _Connect) -> None:
        if not self._is_verified:
            await _verify_session(connection, connect)
            self._is_verified = True
        await connection.execute("; ".join(f"SET {name} = '{value}'" for name, value in settings.items()))


class SharedSessions(Sessions):
    """Sessions behind a pooler in transaction mode, which may give each transaction a different one.

    No setting or prepared statement outlasts a transaction, and every statement runs in one.
    """

    driver_options: ClassVar = {"statement_cache_size": 0}
    adapter_options: ClassVar = {"prepared_statement_cache_size": 0}

    async def run(
        self, connection: PoolConnectionProxy, settings: Settings, operation: Callable[[], Awaitable[T]]
    ) -> T:
        """Run an operation in a transaction of its own with these settings."""
        with self.watched():
            return await self._transact(connection, settings, operation)

    async def _transact(
        self, connection: PoolConnectionProxy, settings: Settings, operation: Callable[[], Awaitable[T]]
    ) -> T:
        local = (f"SET LOCAL {name} = '{value}'" for name, value in settings.items())
        await connection.execute("; ".join(("BEGIN", *local)))
        try:
            result = await operation()
        except Exception:  # raised again, once the transaction is ended
            with suppress(Exception):  # a lost connection has ended the transaction
                await connection.execute("ROLLBACK")
            raise
        await connection.execute("COMMIT")
        return result

    async def _begin(self, connection: asyncpg.Connection, settings: Settings, connect: _Connect) -> None:
        # asyncpg looks up array types once per connection, and changes a setting while it does.
        await connection.execute("BEGIN")
        await connection.prepare(_ARRAYS)
        await connection.execute("ROLLBACK")


async def _verify_session(connection: asyncpg.Connection, connect: _Connect) -> None:
    """Raise `StorageUnavailable` if another connection gets the session of this idle one."""
    pid = await connection.fetchval(_BACKEND_PID)
    if pid == connection.get_server_pid():
        return  # not a pooler, which would invent a number
    other = await connect()
    try:
        await other.execute("BEGIN")
        pids = await other.fetchval(_BACKEND_PID), await connection.fetchval(_BACKEND_PID)
    finally:
        other.terminate()
    if pids[0] == pid or pids[1] != pid:
        raise StorageUnavailable(NEEDS_POOLER_OPTION)


class AsyncpgPool(DriverPool[PoolConnectionProxy]):
    """asyncpg's pool, for statements after which a connection needs no reset."""

    driver_errors: ClassVar = (asyncpg.PostgresError, asyncpg.InterfaceError)

    def __init__(self, size: int, arguments: Mapping[str, Any], sessions: Sessions, settings: Settings) -> None:
        """`arguments` are those of asyncpg's `connect`."""
        super().__init__(size)
        self._size: Final = size
        self._arguments: Final = arguments
        self._sessions: Final = sessions
        self._settings: Final = settings
        self._pool: asyncpg.Pool | None = None
        self._closed = False

    @property
    def idle(self) -> int:
        return 0 if self._pool is None else self._pool.get_idle_size()

    async def fetch(self, statement: BoundStatement) -> Sequence[asyncpg.Record]:
        async def fetch(connection: PoolConnectionProxy) -> Sequence[asyncpg.Record]:
            return await self._sessions.run(
                connection, self._settings, lambda: connection.fetch(statement.text, *statement.arguments)
            )

        return await self.run(fetch)

    async def execute(self, statement: BoundStatement) -> None:
        """Run one statement in a transaction of its own. Raise `TooBusy` if it was not sent."""

        async def execute(connection: PoolConnectionProxy) -> None:
            await asyncio.sleep(0)  # so that the driver notices that the server has closed the connection
            if not is_open(connection):
                raise TooBusy
            await self._sessions.run(
                connection, self._settings, lambda: connection.execute(statement.text, *statement.arguments)
            )

        await self.run(execute)

    async def close(self) -> None:
        self._closed = True
        if self._pool is not None:
            with suppress(Exception):  # it has terminated all connections then
                async with asyncio.timeout(_CLOSE_TIMEOUT_SECONDS):
                    await self._pool.close()

    async def _acquire(self) -> PoolConnectionProxy:
        if self._closed:
            raise StorageUnavailable
        if self._pool is None:
            self._pool = asyncpg.create_pool(
                min_size=0,
                max_size=self._size,
                max_queries=sys.maxsize,
                max_inactive_connection_lifetime=0,
                reset=_do_nothing,
                connect=partial(self._sessions.open, self._settings),
                **self._arguments,
            )
            await self._pool  # connects to nothing yet, so no other task runs
        return await self._pool.acquire()

    async def _release(self, connection: PoolConnectionProxy) -> None:
        assert self._pool is not None  # noqa: S101 - it is the connection's
        await self._pool.release(connection)

    def _discard(self, connection: PoolConnectionProxy) -> None:
        if is_open(connection):
            connection.terminate()

    def _is_intact(self, connection: PoolConnectionProxy, error: BaseException) -> bool:
        if isinstance(error, asyncpg.PostgresError):
            return not str(error.sqlstate).startswith(_LOST_CONNECTION)
        return isinstance(error, asyncpg.InterfaceError) and is_open(connection)


def is_open(connection: PoolConnectionProxy) -> bool:
    try:
        return not connection.is_closed()
    except asyncpg.InterfaceError:  # the pool has been closed and has the connection back
        return False


async def _do_nothing(_: asyncpg.Connection) -> None:
    pass
