from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, ClassVar, Final

import asyncpg

from adapters.sql.brief_reads import BriefReads
from adapters.sql.connections import Connections, Turns
from domain.errors import StorageUnavailable

_CLOSING_TIMEOUT_SECONDS: Final = 2


class AsyncpgReads(BriefReads):
    """Brief reads by asyncpg, on a few connections that are kept for them."""

    failures: ClassVar = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)

    def __init__(self, arguments: Mapping[str, Any], most: int, patient: Connections) -> None:
        """`arguments` are those of `asyncpg.connect`."""
        super().__init__(patient)
        self._arguments: Final = arguments
        self._turns: Final = Turns(most)
        self._idle: Final[list[asyncpg.Connection]] = []
        self._closed = False
        self._in_use = 0

    @property
    def in_use(self) -> int:
        return self._in_use

    async def _fetch(self, text: str, arguments: Sequence[object]) -> Iterable[Iterable[Any]]:
        await self._turns.take()
        self._in_use += 1
        try:
            connection = self._idle.pop() if self._idle else await self._connect()
            try:
                rows = await connection.fetch(text, *arguments)
            except BaseException:  # among them that nobody waits any more, in the midst of an answer
                connection.terminate()
                raise
            if self._closed:
                connection.terminate()
            else:
                self._idle.append(connection)
            return rows
        finally:
            self._in_use -= 1
            self._turns.give_back()

    async def _connect(self) -> asyncpg.Connection:
        if self._closed:
            raise StorageUnavailable
        try:
            return await asyncpg.connect(**self._arguments)
        except OSError as error:  # also when it takes too long
            raise StorageUnavailable from error

    async def close(self) -> None:
        self._closed = True
        while self._idle:
            with suppress(*self.failures):
                await self._idle.pop().close(timeout=_CLOSING_TIMEOUT_SECONDS)
