from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Column, Connection, Executable, Insert, Table, select

from adapters.sql.dialects.dialect import Dialect
from adapters.sql.tables import TABLES
from adapters.sql.writes import Addition, OtherWrite, Save, Values, Write, key_of
from domain.errors import StaleVersion


class StagedWrites:
    """What a unit of work will do at its commit. Rows that are added one after another go in one statement."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._writes: list[Write] = []
        self._touched: dict[Table, set[str]] = {}

    def add(self, table: Table, values: Values) -> None:
        last = self._writes[-1] if self._writes else None
        if not isinstance(last, Addition) or last.table is not table:
            last = Addition(table, self._dialect)
            self._writes.append(last)
        last.rows.append(values)

    def put(self, table: Table, key: str, upsert: Insert) -> None:
        self._touch(table, key)
        self._writes.append(_execution(upsert))

    def save(self, table: Table, values: Values, before: Values | None = None) -> None:
        """Stage a save of all values, or of those alone that differ from what is known to be there before."""
        key = str(values[key_of(table).name])
        self._touch(table, key)
        known = before or {key_of(table).name: key}
        changes = {name: value for name, value in values.items() if name not in known or known[name] != value}
        self._writes.append(Save(table, key, changes))

    def remove(self, table: Table, key: str, version: int) -> None:
        self._touch(table, key)
        statement = table.delete().where(key_of(table) == key, table.c.version == version)

        def write(connection: Connection) -> None:
            if connection.execute(statement).rowcount != 1:
                raise StaleVersion

        self._writes.append(write)

    def require(self, column: Column[Any], key: str, value: object) -> None:
        """Let the commit go on only if the row of that key has that very value, and nobody can change it any more."""
        self._touch(column.table, key)
        statement = select(column).where(key_of(column.table) == key).with_for_update()

        def write(connection: Connection) -> None:
            # Compared here, since to MariaDB a text is equal to another one that ends with more spaces.
            if connection.execute(statement).scalar_one_or_none() != value:
                raise StaleVersion

        self._writes.append(write)

    def _touch(self, table: Table, key: str) -> None:
        self._touched.setdefault(table, set()).add(key)

    def take(self) -> Sequence[Write]:
        """Give out all of it and be empty."""
        writes = [*self._locks(), *self._writes]
        self._writes, self._touched = [], {}
        return writes

    def _locks(self) -> Sequence[Write]:
        """Lock all rows in one order, whatever that of the writes, so that no two commits wait for each other."""
        if sum(map(len, self._touched.values())) < 2:
            return []
        return [_lock(table, self._touched[table]) for table in TABLES if table in self._touched]


def _lock(table: Table, keys: Collection[str]) -> OtherWrite:
    key = key_of(table)
    return _execution(select(key).where(key.in_(keys)).order_by(key).with_for_update())


def _execution(statement: Executable) -> OtherWrite:
    def write(connection: Connection) -> None:
        connection.execute(statement)

    return write
