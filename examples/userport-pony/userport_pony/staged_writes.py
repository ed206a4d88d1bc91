from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from domain.errors import DomainError, StaleVersion
from pony import orm

Write: TypeAlias = Callable[[Any], object]
"""One statement of a commit, given the Pony database.

Pony's objects only serve reads. In a commit, Pony's cache would reject a second user with an email before SQLite's
constraint does, with an error that repeats the email; and it would remove the records of a user one by one.
"""

Translate: TypeAlias = Callable[[str], DomainError | None]
"""Returns the error for a violated constraint, which SQLite names by its columns, without values."""


class StagedWrites:
    """The writes of a unit of work. Their SQL contains only names from this package."""

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
        """Require a row with these values at the commit, during which no other transaction writes."""

        def check(db: Any) -> None:
            if db.execute(f"SELECT 1 FROM {table} WHERE {_equal(values)}", values).fetchone() is None:  # noqa: S608
                raise StaleVersion

        self._writes.append(check)

    def take(self) -> Sequence[Write]:
        """Return all writes and clear the list."""
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
