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
        """Insert a thousand rows at most, all or none, in a transaction of its own.

        Hardly waits for a lock that somebody else holds. Raises `TooBusy` when that or something else is in the way
        of all rows, `StorageUnavailable` when it cannot be told whether they are there, and whatever else when one of
        them is refused, so that none is there.
        """

    @abstractmethod
    async def close(self) -> None: ...
