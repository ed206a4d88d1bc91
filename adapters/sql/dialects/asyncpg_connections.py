from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Final, TypeVar

import asyncpg

from adapters.sql.connections import Turns
from domain.errors import StorageUnavailable

T = TypeVar("T")

_CLOSING_TIMEOUT_SECONDS: Final = 2


class AsyncpgConnections:
    """A few connections of asyncpg's own; one that is lost, or whose user does not wait for its end, is given up."""

    def __init__(self, arguments: Mapping[str, Any], most: int) -> None:
        """`arguments` are those of `asyncpg.connect`."""
        self._arguments: Final = arguments
        self._turns: Final = Turns(most)
        self._idle: Final[list[asyncpg.Connection]] = []
        self._closed = False
        self.in_use = 0

    async def run(self, work: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
        """Do work that leaves nothing open; raises `TooBusy` when no connection becomes free in time."""
        await self._turns.take()
        self.in_use += 1
        try:
            connection = await self._connection()
            try:
                return await work(connection)
            except asyncpg.PostgresError:  # the server's answer
                raise
            except BaseException:
                connection.terminate()
                raise
            finally:
                if self._closed:
                    connection.terminate()
                self._idle.append(connection)
        finally:
            self.in_use -= 1
            self._turns.give_back()

    async def _connection(self) -> asyncpg.Connection:
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
        if self._closed:
            raise StorageUnavailable
        try:
            return await asyncpg.connect(**self._arguments)
        except OSError as error:  # also when it takes too long
            raise StorageUnavailable from error

    async def close(self) -> None:
        self._closed = True
        while self._idle:
            with suppress(Exception):  # there is nothing that we still want from it
                await self._idle.pop().close(timeout=_CLOSING_TIMEOUT_SECONDS)
