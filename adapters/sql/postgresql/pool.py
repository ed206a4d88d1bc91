import asyncio
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, ClassVar, Final

import asyncpg

from adapters.sql.engine.pools import DriverPool
from adapters.sql.engine.statements import BoundStatement
from adapters.sql.postgresql.sessions import Sessions, Settings
from domain.errors import StorageUnavailable, TooBusy

_CLOSE_TIMEOUT_SECONDS: Final = 2
_LOST_CONNECTION: Final = "08"  # PostgreSQL's manual, appendix A


class AsyncpgPool(DriverPool[asyncpg.pool.PoolConnectionProxy]):
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
        async def fetch(connection: asyncpg.pool.PoolConnectionProxy) -> Sequence[asyncpg.Record]:
            return await self._sessions.run(
                connection, self._settings, lambda: connection.fetch(statement.text, *statement.arguments)
            )

        return await self.run(fetch)

    async def execute(self, statement: BoundStatement) -> None:
        """Run one statement in a transaction of its own. Raise `TooBusy` if it was not sent."""

        async def execute(connection: asyncpg.pool.PoolConnectionProxy) -> None:
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

    async def _acquire(self) -> asyncpg.pool.PoolConnectionProxy:
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

    async def _release(self, connection: asyncpg.pool.PoolConnectionProxy) -> None:
        assert self._pool is not None  # noqa: S101 - it is the connection's
        await self._pool.release(connection)

    def _discard(self, connection: asyncpg.pool.PoolConnectionProxy) -> None:
        if is_open(connection):
            connection.terminate()

    def _is_intact(self, connection: asyncpg.pool.PoolConnectionProxy, error: BaseException) -> bool:
        if isinstance(error, asyncpg.PostgresError):
            return not str(error.sqlstate).startswith(_LOST_CONNECTION)
        return isinstance(error, asyncpg.InterfaceError) and is_open(connection)


def is_open(connection: asyncpg.pool.PoolConnectionProxy) -> bool:
    try:
        return not connection.is_closed()
    except asyncpg.InterfaceError:  # the pool has been closed and has the connection back
        return False


async def _do_nothing(_: asyncpg.Connection) -> None:
    pass
