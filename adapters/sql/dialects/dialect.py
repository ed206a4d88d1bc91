from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar

from sqlalchemy import URL, Column, Table
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.sql.dml import Insert

from domain.errors import DomainError


class Dialect(ABC):
    """One database's peculiarities."""

    options: ClassVar[frozenset[str]] = frozenset()
    """What may stand behind the `?` of its URL."""

    read_connections: ClassVar[int] = 8
    write_connections: ClassVar[int] = 8

    @abstractmethod
    def driver_url(self, url: URL) -> URL:
        """Translate userport's URL into the driver's; raises `ValueError`, which repeats no value of it."""

    @staticmethod
    def check_database(url: URL) -> None:
        """Raise `ValueError` unless the URL names a database; a server would choose one, and not say which."""
        if not url.database:
            raise ValueError("it names no database; write scheme://user:password@host:port/database")

    def connect_args(self) -> Mapping[str, Any]:
        """Arguments for the driver's `connect`."""
        return {}

    def make_place(self, url: URL) -> None:  # noqa: B027 - on a server somebody else has made it
        """Make what the tables will be in, unless it is there."""

    def configure(self, reads: AsyncEngine, writes: AsyncEngine) -> None:  # noqa: B027 - most need nothing
        """Register events on the engines."""

    @abstractmethod
    def meaning(self, error: DBAPIError) -> DomainError | None:
        """Say what a failure means to the domain; None when it can only be a bug of ours."""

    @abstractmethod
    def may_be_repeated(self, error: DBAPIError) -> bool:
        """Tell whether the transaction was given up for the sake of another one, or of order, and can be repeated."""

    @abstractmethod
    def upsert(self, table: Table, key: Column[Any], values: Mapping[str, Any]) -> Insert:
        """Insert a row, or overwrite the one with the same primary key."""

    @abstractmethod
    def migration_lock(self, connection: AsyncConnection) -> AbstractAsyncContextManager[None]:
        """Hold back other processes that want to migrate, until the block ends."""
