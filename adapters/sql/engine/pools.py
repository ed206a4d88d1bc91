"""Bounded pools of connections."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, ClassVar, Final, Generic, TypeVar

from adapters.resilience import ConnectionLimiter
from adapters.sql.engine.statements import BoundStatement
from domain.errors import DomainError, StorageUnavailable

C = TypeVar("C")
T = TypeVar("T")


class ConnectionLost(Exception):
    """A connection broke while it was used; whether the server did what it was sent is unknown."""


class DriverPool(ABC, Generic[C]):
    """A driver's own pool, opened when it is first used."""

    driver_errors: ClassVar[tuple[type[Exception], ...]]
    """Whose meaning is known."""

    def __init__(self, size: int) -> None:
        self._limiter: Final = ConnectionLimiter(size)

    @property
    def in_use(self) -> int:
        return self._limiter.in_use

    async def run(self, operation: Callable[[C], Awaitable[T]]) -> T:
        """Run an operation that leaves nothing open on a connection.

        Raises:
            TooBusy: no connection became free in time.
            StorageUnavailable: the server cannot be reached.
            ConnectionLost: the connection broke.
        """
        async with self._limiter:
            try:
                connection = await self._acquire()
            except DomainError:
                raise
            except self.driver_errors:
                raise
            except Exception as error:  # no server, or one whose answer the driver made nothing of
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
        """Read all rows of a statement."""

    @abstractmethod
    async def close(self) -> None: ...

    @abstractmethod
    async def _acquire(self) -> C: ...

    @abstractmethod
    async def _release(self, connection: C) -> None: ...

    @abstractmethod
    def _discard(self, connection: C) -> None:
        """Close a connection, whatever state it is in."""

    @abstractmethod
    def _is_intact(self, connection: C, error: BaseException) -> bool:
        """Return whether a connection can be used after an error."""
