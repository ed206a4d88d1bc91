import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

from sqlalchemy import URL, Executable, Row
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import QueuePool

from adapters.sql.dialects.dialect import Dialect
from domain.errors import StorageUnavailable, TooBusy

T = TypeVar("T")

_QUEUE_TIMEOUT_SECONDS: Final = 5
_OPERATION_TIMEOUT_SECONDS: Final = 8  # giving up on a server that hangs can take a driver two more
_MOST_ATTEMPTS: Final = 5


class _Connections:
    """An engine's pool, with a fair queue in front of it.

    The pool's own queue would let those who wait sleep on when connecting failed for those before them.
    """

    def __init__(self, engine: AsyncEngine, most: int) -> None:
        self._engine = engine
        self._free = asyncio.Semaphore(most)

    @property
    def in_use(self) -> int:
        pool = self._engine.pool
        return pool.checkedout() if isinstance(pool, QueuePool) else 0

    @asynccontextmanager
    async def one(self) -> AsyncIterator[AsyncConnection]:
        """Lend a connection; raises `TooBusy` when none becomes free in time."""
        try:
            async with asyncio.timeout(_QUEUE_TIMEOUT_SECONDS):
                await self._free.acquire()
        except TimeoutError:
            raise TooBusy from None
        try:
            async with self._engine.connect() as connection:
                yield connection
        finally:
            self._free.release()

    async def close(self) -> None:
        await self._engine.dispose()


class Database:
    """Bounded pools of connections: some that read, each statement by itself, and some that write in transactions.

    Every failure comes out as a domain error.
    """

    def __init__(self, url: URL, dialect: Dialect) -> None:
        self.dialect = dialect
        self._url = url
        options: dict[str, Any] = {
            "connect_args": dict(dialect.connect_args()),
            "max_overflow": 0,
            "hide_parameters": True,  # they hold password hashes
        }
        driver_url = dialect.driver_url(url)
        reads = create_async_engine(
            driver_url,
            isolation_level="AUTOCOMMIT",
            pool_size=dialect.read_connections,
            pool_reset_on_return=None,  # nothing is ever left open
            **options,
        )
        writes = create_async_engine(driver_url, pool_size=dialect.write_connections, **options)
        dialect.configure(reads, writes)
        self._reads = _Connections(reads, dialect.read_connections)
        self._writes = _Connections(writes, dialect.write_connections)

    @property
    def connections_in_use(self) -> int:
        return self._reads.in_use + self._writes.in_use

    async def rows(self, statement: Executable, parameters: Mapping[str, Any] | None = None) -> Sequence[Row[Any]]:
        """Read all rows of one statement."""

        async def attempt() -> Sequence[Row[Any]]:
            async with self._reads.one() as connection:
                return (await connection.execute(statement, parameters)).all()

        return await self._repeated(attempt, _OPERATION_TIMEOUT_SECONDS)

    async def write(self, work: Callable[[AsyncConnection], Awaitable[None]]) -> None:
        """Run `work` in a transaction, and again when it lost to another one before the commit."""

        async def attempt() -> None:
            async with self._writes.one() as connection:
                await connection.begin()
                await work(connection)
                try:
                    await connection.commit()
                except DBAPIError as error:  # not to be repeated: it may have been applied
                    raise StorageUnavailable from error

        await self._repeated(attempt, _OPERATION_TIMEOUT_SECONDS)

    async def migrate(self, work: Callable[[AsyncConnection], Awaitable[None]]) -> None:
        """Run `work` in a transaction, however long it takes, while no other process migrates."""

        self.dialect.make_place(self._url)

        async def attempt() -> None:
            async with self._writes.one() as connection, connection.begin(), self.dialect.migration_lock(connection):
                await work(connection)

        await self._repeated(attempt)

    async def close(self) -> None:
        await self._reads.close()
        await self._writes.close()

    async def _repeated(self, attempt: Callable[[], Awaitable[T]], seconds: float | None = None) -> T:
        """Attempt until it succeeds, fails for good or takes too long, and translate how it failed."""
        try:
            async with asyncio.timeout(seconds):
                for failures in range(_MOST_ATTEMPTS):
                    try:
                        return await attempt()
                    except DBAPIError as error:
                        # That a connection has died in its pool is no reason to fail: all of them are replaced now.
                        worthwhile = error.connection_invalidated or self.dialect.may_be_repeated(error)
                        if not worthwhile or failures == _MOST_ATTEMPTS - 1:
                            raise
                    # Rivals part by chance; nothing is to be kept secret here.
                    await asyncio.sleep(random.uniform(0, 0.02 * (failures + 1)))  # noqa: S311
        except DBAPIError as error:
            raise self.dialect.meaning(error) or error from error
        except OSError as error:  # also a TimeoutError, and what asyncpg raises when it cannot connect
            raise StorageUnavailable from error
        raise AssertionError("the last attempt returns or raises")
