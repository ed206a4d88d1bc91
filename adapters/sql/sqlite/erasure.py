import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any, Final

from sqlalchemy import Connection, Engine, event

from adapters.sql.sqlite.connection import DatabaseFile, FileConnection
from domain.errors import DomainError

_DELAY_SECONDS: Final = 2
_MAX_DELAY_SECONDS: Final = 60
_BUSY_MILLISECONDS: Final = 20  # the time for which writers may be blocked


class Erasure:
    """Erases deleted data from the file and its write-ahead log, some seconds after the commit.

    SQLite overwrites deleted data with zeros (`secure_delete`), except in the log: the file keeps data until a
    checkpoint, and older frames of the log keep them until it is truncated. Deletions within some seconds share a
    truncation, because a log that grows again slows commits.
    """

    def __init__(
        self, file: DatabaseFile, writes: Engine, run_as_writer: Callable[[Callable[[], bool]], Awaitable[bool]]
    ) -> None:
        """`run_as_writer` runs a function in the writer's thread."""
        self._file: Final = file
        self._run_as_writer: Final = run_as_writer
        self._is_wanted = True  # a process that crashed may have left data
        self._task: asyncio.Task[None] | None = None
        event.listen(writes, "after_cursor_execute", self._note_deletion)

    def begin(self) -> None:
        """Erase data deleted by the last transactions, in the background."""
        if self._is_wanted and self._task is None:
            self._task = asyncio.create_task(self._erase_later())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            await self._erase()

    def _note_deletion(self, _: Connection, __: object, ___: str, ____: object, context: Any, _____: bool) -> None:
        if context.isdelete:
            self._is_wanted = True

    async def _erase_later(self) -> None:
        delay = _DELAY_SECONDS
        try:
            while self._is_wanted:
                await asyncio.sleep(delay)
                self._is_wanted = False
                if not await self._erase():
                    self._is_wanted = True
                    delay = min(2 * delay, _MAX_DELAY_SECONDS)
        finally:
            self._task = None

    async def _erase(self) -> bool:
        """Truncate the log; return whether it is empty now."""
        try:
            # Most of the log is copied while others write, so the rest blocks them only briefly.
            await asyncio.to_thread(self._checkpoint, "PASSIVE")
            return await self._run_as_writer(lambda: self._checkpoint("TRUNCATE"))
        except (sqlite3.Error, DomainError):  # the file is missing, or all threads are busy
            return False

    def _checkpoint(self, mode: str) -> bool:
        connection = FileConnection(self._file, busy_milliseconds=_BUSY_MILLISECONDS)
        try:
            (is_busy, _, _) = connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
        finally:
            connection.close()
        return not is_busy
