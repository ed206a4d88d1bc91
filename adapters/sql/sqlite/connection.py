import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Final, TypeVar
from urllib.parse import quote

T = TypeVar("T")

_LOOK_SECONDS: Final = 0.01
_BUSY_TIMEOUT_MILLISECONDS: Final = 1_500

POLL_MILLISECONDS: Final = 78
"""In these SQLite looks seven times whether a lock is free. Later it looks rarely, and finds it taken again."""


class FileMissing(sqlite3.OperationalError):
    """The file to be opened does not exist."""

    sqlite_errorcode = sqlite3.SQLITE_CANTOPEN


class DatabaseFile:
    """A path, and which file it leads to: another one, or none, once the file was moved, deleted or replaced."""

    def __init__(self, path: str) -> None:
        self.path: Final = path
        self.identity: tuple[int, int] | None = None
        """The file that was found at the last look."""
        self._looked_at = 0.0

    def look(self) -> None:
        self._looked_at = monotonic()
        try:
            found = os.stat(self.path)  # noqa: PTH116 - twice as fast as by a Path
        except OSError:
            self.identity = None
        else:
            self.identity = found.st_dev, found.st_ino

    def look_again(self) -> None:
        """Look, unless that was done a moment ago: it takes a tenth of the time of a brief read."""
        if monotonic() - self._looked_at > _LOOK_SECONDS:
            self.look()


class FileConnection(sqlite3.Connection):
    """A connection to a file that exists; else raises `FileMissing`."""

    def __init__(self, file: DatabaseFile, *, busy_milliseconds: int = _BUSY_TIMEOUT_MILLISECONDS) -> None:
        file.look()
        self._file: Final = file
        self._identity: Final = file.identity  # before it is opened: of two files, that is the older one
        try:
            super().__init__(
                f"file:{quote(file.path)}?mode=rw",
                uri=True,
                timeout=busy_milliseconds / 1_000,
                isolation_level=None,  # transactions are begun by us alone
                check_same_thread=False,  # used by one thread at a time, which its pool sees to
            )
        except sqlite3.OperationalError as error:
            if Path(file.path).parent.is_dir() and not Path(file.path).exists():
                raise FileMissing from error
            raise
        try:
            for setting in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
                self.execute(f"PRAGMA {setting}")
        except sqlite3.Error:
            self.close()
            raise

    @property
    def is_current(self) -> bool:
        """Whether its file is the one that was found at the path by the last look.

        SQLite would go on with one that nobody else will ever see again.
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
