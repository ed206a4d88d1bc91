import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Final, TypeVar
from urllib.parse import quote

T = TypeVar("T")

_REFRESH_INTERVAL_SECONDS: Final = 0.01
_BUSY_TIMEOUT_MILLISECONDS: Final = 1_500

POLL_MILLISECONDS: Final = 78
"""In these SQLite looks seven times whether a lock is free. Later it looks rarely, and finds it taken again."""


class DatabaseFileNotFound(sqlite3.OperationalError):
    """The database file does not exist."""

    sqlite_errorcode = sqlite3.SQLITE_CANTOPEN


class DatabaseFile:
    """A path, and the identity of the file there, which changes when the file is moved, deleted or replaced."""

    def __init__(self, path: str) -> None:
        self.path: Final = path
        self.identity: tuple[int, int] | None = None
        """The identity at the last refresh; None without a file."""
        self._refreshed_at = 0.0

    def refresh(self) -> None:
        self._refreshed_at = monotonic()
        try:
            found = os.stat(self.path)  # noqa: PTH116 - twice as fast as by a Path
        except OSError:
            self.identity = None
        else:
            self.identity = found.st_dev, found.st_ino

    def refresh_if_stale(self) -> None:
        """Refresh the identity unless it is recent: a refresh takes a tenth of the time of a short read."""
        if monotonic() - self._refreshed_at > _REFRESH_INTERVAL_SECONDS:
            self.refresh()


class FileConnection(sqlite3.Connection):
    """A connection to an existing file. Raises `DatabaseFileNotFound`."""

    def __init__(self, file: DatabaseFile, *, busy_milliseconds: int = _BUSY_TIMEOUT_MILLISECONDS) -> None:
        file.refresh()
        self._file: Final = file
        self._identity: Final = file.identity  # before opening: in a race, that is the older file
        try:
            super().__init__(
                f"file:{'//' if file.path.startswith('/') else ''}{quote(file.path)}?mode=rw",  # without a host
                uri=True,
                timeout=busy_milliseconds / 1_000,
                isolation_level=None,  # only we begin transactions
                check_same_thread=False,  # its pool ensures one thread at a time
            )
        except sqlite3.OperationalError as error:
            if Path(file.path).parent.is_dir() and not Path(file.path).exists():
                raise DatabaseFileNotFound from error
            raise
        try:
            for setting in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
                self.execute(f"PRAGMA {setting}")
        except sqlite3.Error:
            self.close()
            raise

    @property
    def is_current(self) -> bool:
        """Whether the path still led to this connection's file at the last refresh.

        SQLite would continue to use a file that no other process sees any more.
        """
        return self._file.identity == self._identity


def wait_for_lock(operation: Callable[[], T]) -> T:
    """Call an operation that begins by taking a lock, until no other process holds that or has held it for too long."""
    deadline = monotonic() + _BUSY_TIMEOUT_MILLISECONDS / 1_000
    while True:
        try:
            return operation()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or monotonic() > deadline:
                raise
