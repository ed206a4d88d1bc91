import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any, Final

from adapters.sql.brief_reads import BriefReads
from adapters.sql.connections import Connections
from adapters.sql.sqlite.connection import DatabaseFile, FileConnection
from domain.errors import StorageUnavailable


class OwnThreadReads(BriefReads):
    """Brief reads of a file, done by the thread of the event loop itself: over sooner than another would have begun."""

    def __init__(self, file: DatabaseFile, patient: Connections) -> None:
        super().__init__(patient)
        self._file: Final = file
        self._connection: FileConnection | None = None
        self._closed = False

    @property
    def in_use(self) -> int:
        return 0  # whoever asks does not ask during a read

    async def _fetch(self, text: str, arguments: Sequence[object]) -> Iterable[Iterable[Any]]:
        if self._closed:
            raise StorageUnavailable
        try:
            self._file.look_again()
            if self._connection is None or not self._connection.is_current:
                self._give_up()
                self._connection = FileConnection(self._file, busy_milliseconds=0)
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
