from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from sqlalchemy import Table

Rows: TypeAlias = Mapping[Table, Sequence[Mapping[str, Any]]]
"""Rows by table, in an order in which those that are referred to come first."""


class Inserts(ABC):
    """Inserts by the driver itself: SQLAlchemy's way there and back takes longer than a few rows do."""

    @property
    @abstractmethod
    def in_use(self) -> int:
        """How many connections are checked out at this moment."""

    @abstractmethod
    async def insert(self, rows: Rows) -> None:
        """Insert rows in one transaction of their own.

        Raises `TooBusy` rather than wait for a lock that somebody else holds, `StorageUnavailable` when it cannot be
        told whether the rows are there, and whatever else when none of them is.
        """

    @abstractmethod
    async def close(self) -> None: ...
