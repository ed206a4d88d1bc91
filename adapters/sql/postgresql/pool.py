import asyncio
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, ClassVar, Final

import asyncpg

from adapters.sql.engine.pools import DriverPool
from adapters.sql.engine.statements import BoundStatement
from domain.errors import StorageUnavailable

_CLOSE_TIMEOUT_SECONDS: Final = 2
_LOST_CONNECTION: Final = "08"  # PostgreSQL's manual, appendix A


class AsyncpgPool(DriverPool[asyncpg.pool.PoolConnectionProxy]):
    """asyncpg's pool, for statements after which a connection needs no reset."""

    driver_errors: ClassVar = (asyncpg.PostgresError, asyncpg.InterfaceError)

    def __init__(self, size: int, connect_args: Mapping[str, Any]) -> None:
        super().__init__(size)
        self._size: Final = size
        self._connect_args: Final = connect_args
        self._pool: asyncpg.Pool | None = None
        self._closed = False

    async def fetch(self, statement: BoundStatement) -> Sequence[asyncpg.Record]:
        return await self.run(lambda connection: connection.fetch(statement.text, *statement.arguments))

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
                **self._connect_args,
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
