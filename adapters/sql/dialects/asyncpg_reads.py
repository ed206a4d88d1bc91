from collections.abc import Iterable, Sequence
from typing import Any, Final

from adapters.sql.brief_reads import BriefReads
from adapters.sql.connections import Connections
from adapters.sql.dialects.asyncpg_connections import AsyncpgConnections


class AsyncpgReads(BriefReads):
    def __init__(self, connections: AsyncpgConnections, patient: Connections) -> None:
        super().__init__(patient)
        self._connections: Final = connections

    @property
    def in_use(self) -> int:
        return self._connections.in_use

    async def _fetch(self, text: str, arguments: Sequence[object]) -> Iterable[Iterable[Any]]:
        return await self._connections.run(lambda connection: connection.fetch(text, *arguments))

    async def close(self) -> None:
        await self._connections.close()
