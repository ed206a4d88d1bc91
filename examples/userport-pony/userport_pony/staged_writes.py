from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from domain.errors import StaleVersion

Write: TypeAlias = Callable[[Any], object]
"""One statement of a commit, given the Pony database.

Pony's objects are for reading. In a commit they would remember each other and refuse a second user of an email before
SQLite's constraint does, by an error that repeats the email; and they remove the posts of a user one by one.
"""


class StagedWrites:
    """What a unit of work will do at its commit. The statements are put together from names of ours alone."""

    def __init__(self) -> None:
        self._writes: list[Write] = []

    def add(self, table: str, values: Mapping[str, object]) -> None:
        self.append(lambda db: db.insert(table, **values))

    def save(self, table: str, values: Mapping[str, object], *, key: str = "id") -> None:
        changes = ", ".join(f"{column} = ${column}" for column in values)
        self._change(f"UPDATE {table} SET {changes} WHERE {key} = ${key} AND version = $version - 1", values)  # noqa: S608

    def remove(self, table: str, key_value: str, version: int, *, key: str = "id") -> None:
        values = {"key": key_value, "version": version}
        self._change(f"DELETE FROM {table} WHERE {key} = $key AND version = $version", values)  # noqa: S608

    def require(self, table: str, **values: object) -> None:
        """Let the commit go on only if there is a row with these values; nobody else writes during a commit."""
        conditions = " AND ".join(f"{column} = ${column}" for column in values)

        def check(db: Any) -> None:
            if db.execute(f"SELECT 1 FROM {table} WHERE {conditions}", dict(values)).fetchone() is None:  # noqa: S608
                raise StaleVersion

        self.append(check)

    def append(self, write: Write) -> None:
        self._writes.append(write)

    def take(self) -> Sequence[Write]:
        """Give out all of it and be empty."""
        writes, self._writes = self._writes, []
        return writes

    def _change(self, statement: str, values: Mapping[str, object]) -> None:
        def change(db: Any) -> None:
            if db.execute(statement, dict(values)).rowcount != 1:
                raise StaleVersion

        self.append(change)
