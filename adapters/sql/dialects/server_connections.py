from typing import Final, TypeVar

from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.sql.connections import Connections, Work

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
            async with self._engine.connect() as connection:
                return await connection.run_sync(work)
        finally:
            self._turns.give_back()

    async def close(self) -> None:
        await self._engine.dispose()
