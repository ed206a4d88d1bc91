"""The common part of database backends behind a network connection."""

import asyncio
import logging
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import URL, ExceptionContext, event
from sqlalchemy.exc import DBAPIError, InterfaceError
from sqlalchemy.ext.asyncio import create_async_engine

from adapters.resilience import ConnectionLimiter
from adapters.sql.engine.backend import ENGINE_OPTIONS, Backend, TransactionCallback, idle_connections
from adapters.sql.engine.pools import DriverPool
from adapters.sql.engine.statements import BoundStatement
from domain.errors import DomainError, StorageUnavailable

P = TypeVar("P", bound=DriverPool[Any])
T = TypeVar("T")

_READ_CONNECTIONS: Final = 8
_MAX_SLOW_READS: Final = 4  # leaves as many connections for indexed reads
_INSERT_CONNECTIONS: Final = 2
_TRANSACTION_CONNECTIONS: Final = 6
_CONNECT_TIMEOUT_SECONDS: Final = 6  # longer than the drivers' timeouts, which do not cover the handshake

# A pool discards a connection that it cannot roll back, and would also log the driver's traceback.
logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)


class ServerBackend(Backend, Generic[P]):
    """A database server behind an asynchronous driver, with three connection pools.

    Separate from `Backend` because SQLAlchemy's asynchronous part imports its ORM, which is slow.
    """

    def __init__(self, driver_url: URL, conflicts: Mapping[str, type[DomainError]]) -> None:
        """Raise `ValueError`, which repeats no value of the URL, unless the URL names a database."""
        if not driver_url.database:  # a server would silently choose one
            raise ValueError("it does not name a database; write scheme://user:password@host:port/database")
        super().__init__(driver_url, conflicts)
        self._engine: Final = create_async_engine(
            driver_url, pool_size=_TRANSACTION_CONNECTIONS, connect_args=dict(self._engine_args()), **ENGINE_OPTIONS
        )
        self.engine = self._engine.sync_engine
        event.listen(self.engine, "handle_error", self._discard_broken)
        self._transactions: Final = ConnectionLimiter(_TRANSACTION_CONNECTIONS)
        _, url_args = self.dialect.create_connect_args(driver_url)
        self._reads: Final = self._pool(_READ_CONNECTIONS, url_args, lock_waits=True)
        self._slow_reads: Final = ConnectionLimiter(_MAX_SLOW_READS)
        self._inserts: Final = self._pool(_INSERT_CONNECTIONS, url_args, lock_waits=False)

    @property
    def connections_in_use(self) -> int:
        return self._transactions.in_use + self._reads.in_use + self._inserts.in_use

    @property
    def connections_idle(self) -> int:
        return idle_connections(self.engine) + self._reads.idle + self._inserts.idle

    async def fetch(self, statement: BoundStatement) -> Iterable[Iterable[Any]]:
        async with self._slow_reads:
            return await self._reads.fetch(statement)

    async def fetch_indexed(self, statement: BoundStatement) -> Iterable[Iterable[Any]]:
        return await self._reads.fetch(statement)

    async def transact(self, callback: TransactionCallback[T]) -> T:
        async with self._transactions, AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(_CONNECT_TIMEOUT_SECONDS):
                    connection = await stack.enter_async_context(self._engine.connect())
            except (DomainError, DBAPIError, OSError):
                raise
            except self._reads.driver_errors:
                raise
            except Exception as error:  # the driver could not parse the response
                raise StorageUnavailable from error
            return await connection.run_sync(self._run_transaction, callback)

    async def close(self) -> None:
        await self._reads.close()
        await self._inserts.close()
        await self._engine.dispose()

    def _discard_broken(self, context: ExceptionContext) -> InterfaceError | None:
        """Treat an unexpected exception of a driver, such as an `IndexError`, as a lost connection.

        SQLAlchemy calls this with every exception of a connected driver.
        """
        error = context.sqlalchemy_exception
        if isinstance(error, DBAPIError) and self._is_garbled(self._driver_error(error)):
            context.is_disconnect = True
        if error is not None or not isinstance(context.original_exception, Exception):
            return None  # the driver's own error, our own error in a statement, or a cancellation
        context.is_disconnect = True
        mistake = context.original_exception
        return InterfaceError(context.statement, None, mistake, hide_parameters=True, connection_invalidated=True)

    def _is_garbled(self, error: BaseException) -> bool:
        """Return whether the driver could not parse the server's response, which makes its connection unusable."""
        return False

    @abstractmethod
    def _engine_args(self) -> Mapping[str, Any]:
        """Return what SQLAlchemy needs to connect besides the URL."""

    @abstractmethod
    def _pool(self, size: int, url_args: Mapping[str, Any], *, lock_waits: bool) -> P:
        """Make a pool of the driver. Without `lock_waits`, statements soon give up on locks."""
