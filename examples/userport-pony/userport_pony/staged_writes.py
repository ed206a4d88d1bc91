from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from domain.errors import DomainError, StaleVersion
from pony import orm

Write: TypeAlias = Callable[[Any], object]
"""One statement of a commit, given the Pony database.

Pony's objects are for reading. In a commit they would remember each other and refuse a second user of an email before
SQLite's constraint does, by an error that repeats the email; and they remove the records of a user one by one.
"""

Translate: TypeAlias = Callable[[str], DomainError | None]
"""Returns what the violated constraint means, which SQLite names by its columns; it repeats no values."""


class StagedWrites:
    """What a unit of work will do at its commit. The statements are made of names from this package alone."""

    def __init__(self) -> None:
        self._writes: list[Write] = []

    def add(self, table: str, values: Mapping[str, object], translate: Translate) -> None:
        self._writes.append(_translated(lambda db: db.insert(table, **values), translate))

    def save(self, table: str, values: Mapping[str, object], key: Sequence[str], translate: Translate) -> None:
        changes = ", ".join(f"{column} = ${column}" for column in values)
        conditions = " AND ".join(f"{column} = ${column}" for column in key)
        statement = f"UPDATE {table} SET {changes} WHERE {conditions} AND version = $version - 1"  # noqa: S608
        self._writes.append(_translated(_changing_one_row(statement, values), translate))

    def remove(self, table: str, **values: object) -> None:
        self._writes.append(_changing_one_row(f"DELETE FROM {table} WHERE {_equal(values)}", values))  # noqa: S608

    def require(self, table: str, **values: object) -> None:
        """Let the commit apply only if there is a row with these values; nobody else writes during a commit."""

        def check(db: Any) -> None:
            if db.execute(f"SELECT 1 FROM {table} WHERE {_equal(values)}", values).fetchone() is None:  # noqa: S608
                raise StaleVersion

        self._writes.append(check)

    def take(self) -> Sequence[Write]:
        """Return all writes, of which none is staged any longer."""
        writes, self._writes = self._writes, []
        return writes


def _equal(values: Mapping[str, object]) -> str:
    return " AND ".join(f"{column} = ${column}" for column in values)


def _changing_one_row(statement: str, values: Mapping[str, object]) -> Write:
    def change(db: Any) -> None:
        if db.execute(statement, dict(values)).rowcount != 1:
            raise StaleVersion

    return change


def _translated(write: Write, translate: Translate) -> Write:
    def translated(db: Any) -> None:
        try:
            write(db)
        except orm.IntegrityError as error:
            raise translate(str(error)) or error from error

    return translated
