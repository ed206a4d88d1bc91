import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, ClassVar, Final
from weakref import WeakSet

from asyncmy.connection import Connection
from asyncmy.errors import MySQLError
from asyncmy.pool import Pool

from adapters.sql.engine.pools import DriverPool
from adapters.sql.engine.statements import BoundStatement
from adapters.sql.mariadb.galera import join_cluster
from domain.errors import StorageUnavailable

_ACQUIRE_TIMEOUT_SECONDS: Final = 5
_CLOSE_TIMEOUT_SECONDS: Final = 2
_DRIVER_ERRORS: Final = range(2_000, 3_000)
"""The driver's own errors, such as a lost connection; all other numbers are the server's."""


class AsyncmyPool(DriverPool[Connection]):
    """asyncmy's pool, with connections in autocommit mode."""

    driver_errors: ClassVar = (MySQLError,)

    def __init__(self, size: int, connect_args: Mapping[str, Any]) -> None:
        super().__init__(size)
        self._size: Final = size
        self._connect_args: Final = {**connect_args, "autocommit": True}
        self._pool: Pool | None = None
        self._joined: Final[WeakSet[Connection]] = WeakSet()
        self._closed = False

    @property
    def idle(self) -> int:
        return 0 if self._pool is None else self._pool.freesize

    async def fetch(self, statement: BoundStatement) -> Sequence[Sequence[Any]]:
        async def fetch(connection: Connection) -> Sequence[Sequence[Any]]:
            async with connection.cursor() as cursor:
                await cursor.execute(*statement)
                return await cursor.fetchall()

        return await self.run(fetch)

    async def close(self) -> None:
        self._closed = True
        if self._pool is not None:
            self._pool.terminate()
            with suppress(Exception):
                async with asyncio.timeout(_CLOSE_TIMEOUT_SECONDS):
                    await self._pool.wait_closed()

    async def _acquire(self) -> Connection:
        if self._closed:
            raise StorageUnavailable
        if self._pool is None:
            self._pool = Pool(0, self._size, pool_recycle=-1, **self._connect_args)
        # The driver waits for a handshake without a timeout, one caller after another. It connects with
        # `asyncio.wait_for`, which may lose a cancellation in Python 3.11.
        async with asyncio.timeout(_ACQUIRE_TIMEOUT_SECONDS):
            connection: Connection = await self._pool.acquire()
            if connection not in self._joined:
                try:
                    await join_cluster(connection)
                except BaseException:
                    await self._pool.release(connection)
                    raise
                self._joined.add(connection)
            return connection

    async def _release(self, connection: Connection) -> None:
        assert self._pool is not None  # noqa: S101 - it is the connection's
        await self._pool.release(connection)

    def _discard(self, connection: Connection) -> None:
        connection.close()

    def _is_intact(self, connection: Connection, error: BaseException) -> bool:
        return isinstance(error, MySQLError) and is_server_error(error)


def is_server_error(error: MySQLError) -> bool:
    """Return whether an error comes from the server, not from the driver."""
    code = error.args[0] if error.args else None
    return isinstance(code, int) and code not in _DRIVER_ERRORS
