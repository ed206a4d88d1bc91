from contextlib import AsyncExitStack
from typing import Final, TypeVar

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.sql.connections import Connections, Work
from domain.errors import StorageUnavailable

T = TypeVar("T")


class ServerConnections(Connections):
    """Connections to a server, whose driver lets others go on while it waits."""

    def __init__(self, engine: AsyncEngine, most: int) -> None:
        super().__init__(most)
        self.engine = engine.sync_engine
        self._engine: Final = engine

    async def run(self, work: Work[T]) -> T:
        await self._turns.take()
        try:
            async with AsyncExitStack() as stack:
                try:
                    connection = await stack.enter_async_context(self._engine.connect())
                except (DBAPIError, OSError):
                    raise
                except Exception as error:  # the driver made nothing of the answer
                    raise StorageUnavailable from error
                return await connection.run_sync(work)
        finally:
            self._turns.give_back()

    async def close(self) -> None:
        await self._engine.dispose()
