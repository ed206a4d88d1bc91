from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from sqlalchemy import Table

Rows: TypeAlias = Sequence[Mapping[str, Any]]
"""Rows of a table, each with a value for every column."""


class Inserts(ABC):
    """Inserts by the driver itself: SQLAlchemy's way there and back takes longer than a few rows do."""

    @property
    @abstractmethod
    def in_use(self) -> int:
        """How many connections are checked out at this moment."""

    @abstractmethod
    async def insert(self, table: Table, rows: Rows) -> None:
        """Insert some hundred rows at most, by one statement, which is a transaction of its own.

        Raises `TooBusy` rather than wait for a lock that somebody else holds, `StorageUnavailable` when it cannot be
        told whether the rows are there, and whatever else when none of them is.
        """

    @abstractmethod
    async def close(self) -> None: ...
