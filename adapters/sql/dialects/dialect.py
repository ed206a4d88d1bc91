from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Final

from sqlalchemy import URL, Column, ColumnElement, Connection, Table, bindparam
from sqlalchemy.exc import DBAPIError

from adapters.sql.connections import Pools, Work
from adapters.sql.inserts import Rows
from domain.errors import DomainError

ENGINE_OPTIONS: Final[Mapping[str, Any]] = {"max_overflow": 0, "hide_parameters": True}  # they hold password hashes
READING: Final[Mapping[str, Any]] = {
    "isolation_level": "AUTOCOMMIT",
    "pool_reset_on_return": None,  # nothing is ever left open
}


class Dialect(ABC):
    """One database's peculiarities."""

    options: ClassVar[frozenset[str]] = frozenset()
    """What may stand behind the `?` of its URL."""

    @abstractmethod
    def connect(self, url: URL) -> Pools:
        """Make the pools, without connecting yet; raises `ValueError`, which repeats no value of the URL."""

    def make_place(self, url: URL) -> None:  # noqa: B027 - on a server somebody else has made it
        """Make what the tables will be in, unless it is there."""

    def is_one_of(self, column: Column[Any], parameter: str) -> ColumnElement[bool]:
        """Compare a column with each of those texts which the parameter of that name is a list of."""
        return column.in_(bindparam(parameter, expanding=True))

    @abstractmethod
    def meaning(self, error: DBAPIError) -> DomainError | str | None:
        """Say what a failure means: the name of a violated constraint; None when it can only be a bug of ours."""

    @abstractmethod
    def may_be_repeated(self, error: DBAPIError) -> bool:
        """Tell whether the transaction was given up for the sake of another one, or of order, and can be repeated."""

    @abstractmethod
    def insertion(self, table: Table, rows: Rows) -> Work[None]:
        """Return what inserts rows, each with a value for every column; what needs no connection is done now.

        A row with an owner who is gone or being removed is refused.
        """

    @abstractmethod
    def migration_lock(self, connection: Connection) -> AbstractContextManager[None]:
        """Hold back other processes that want to migrate, until the block ends."""
