"""Bounded pools of driver connections."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, ClassVar, Final, Generic, TypeVar

from adapters.resilience import ConnectionLimiter
from adapters.sql.engine.statements import BoundStatement
from domain.errors import DomainError, StorageUnavailable

C = TypeVar("C")
T = TypeVar("T")


class ConnectionLost(Exception):
    """A connection broke during use. Whether the server executed the command is unknown."""


class DriverPool(ABC, Generic[C]):
    """A driver's own pool, opened on first use."""

    driver_errors: ClassVar[tuple[type[Exception], ...]]
    """Errors that the backend can classify."""

    def __init__(self, size: int) -> None:
        self._limiter: Final = ConnectionLimiter(size)

    @property
    def in_use(self) -> int:
        return self._limiter.in_use

    @property
    @abstractmethod
    def idle(self) -> int: ...

    async def run(self, operation: Callable[[C], Awaitable[T]]) -> T:
        """Run an operation that leaves no transaction open on its connection.

        Raises:
            TooBusy: No connection became free in time.
            StorageUnavailable: The server cannot be reached.
            ConnectionLost: The connection broke.
        """
        async with self._limiter:
            try:
                connection = await self._acquire()
            except DomainError:
                raise
            except self.driver_errors:
                raise
            except Exception as error:  # no server, or one whose response the driver cannot parse
                raise StorageUnavailable from error
            try:
                return await operation(connection)
            except DomainError:
                raise
            except BaseException as error:
                if not self._is_intact(connection, error):
                    self._discard(connection)
                    if isinstance(error, Exception):
                        raise ConnectionLost from error
                raise
            finally:
                await self._release(connection)

    @abstractmethod
    async def fetch(self, statement: BoundStatement) -> Iterable[Iterable[Any]]:
        """Return all rows of a statement."""

    @abstractmethod
    async def close(self) -> None: ...

    @abstractmethod
    async def _acquire(self) -> C: ...

    @abstractmethod
    async def _release(self, connection: C) -> None: ...

    @abstractmethod
    def _discard(self, connection: C) -> None:
        """Close a connection in any state."""

    @abstractmethod
    def _is_intact(self, connection: C, error: BaseException) -> bool:
        """Return whether a connection is usable after an error."""
