import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from adapters.sql.brief_reads import BriefReads
from adapters.sql.connections import Connections
from domain.errors import StorageUnavailable


class OwnThreadReads(BriefReads):
    """Brief reads of a file, done by the thread of the event loop itself: over sooner than another would have begun."""

    def __init__(self, connect: Callable[[], sqlite3.Connection], patient: Connections) -> None:
        super().__init__(patient)
        self._connect: Final = connect
        self._connection: sqlite3.Connection | None = None
        self._closed = False

    @property
    def in_use(self) -> int:
        return 0  # whoever asks does not ask during a read

    async def _fetch(self, text: str, arguments: Sequence[object]) -> Iterable[Iterable[Any]]:
        if self._closed:
            raise StorageUnavailable
        try:
            if self._connection is None:
                self._connection = self._connect()
            return self._connection.execute(text, arguments).fetchall()
        except sqlite3.Error:
            self._give_up()
            raise

    async def close(self) -> None:
        self._closed = True
        self._give_up()

    def _give_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
