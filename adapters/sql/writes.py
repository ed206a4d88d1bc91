"""What a commit can do to the rows of a table."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeAlias

from sqlalchemy import Connection, Delete, Select, Table, Update, bindparam, select

from adapters.sql.dialects.dialect import Dialect
from adapters.sql.tables import is_visible, key_of
from domain.errors import StaleVersion

Values: TypeAlias = Mapping[str, Any]


@dataclass(slots=True)
class PendingInsert:
    """Rows that are not there yet."""

    table: Table
    dialect: Dialect
    rows: list[Values] = field(default_factory=list)

    def callback(self) -> "TransactionCallback":
        return self.dialect.insertion(self.table, self.rows)


@dataclass(frozen=True, slots=True)
class VersionedUpdate:
    """The changes of a row that must be at the version before until then."""

    table: Table
    key: str
    version_before: int
    row: Values
    """The row afterwards."""

    changes: Values

    def leads_to(self, table: Table, key: str, version: int) -> bool:
        return self.table is table and self.key == key and self.row["version"] == version

    def followed_by(self, row: Values) -> "VersionedUpdate":
        """Return one update for this one and the next, after which the row is `row`."""
        changes = {name: value for name, value in row.items() if name in self.changes or self.row[name] != value}
        return VersionedUpdate(self.table, self.key, self.version_before, row, changes)

    @property
    def statement(self) -> Update:
        return _update_of(self.table, tuple(self.changes))

    @property
    def parameters(self) -> Values:
        return {**self.changes, "_key": self.key, "_version": self.version_before}

    def __call__(self, connection: Connection) -> None:
        if connection.execute(self.statement, self.parameters).rowcount != 1:
            raise StaleVersion


TransactionCallback: TypeAlias = Callable[[Connection], None]
Write: TypeAlias = PendingInsert | VersionedUpdate | TransactionCallback


def removal(table: Table, key: str, version: int) -> TransactionCallback:
    """Return what deletes a row that must be at a version."""

    def remove(connection: Connection) -> None:
        if connection.execute(_delete_from(table), {"_key": key, "_version": version}).rowcount != 1:
            raise StaleVersion

    return remove


def requirement(table: Table, key: str, version: int) -> TransactionCallback:
    """Return what locks a row and lets the commit go on only if it is at a version."""

    def require(connection: Connection) -> None:
        if connection.execute(_locked_version(table), {"_key": key}).scalar_one_or_none() != version:
            raise StaleVersion

    return require


def _is_it(table: Table) -> Sequence[Any]:
    return key_of(table) == bindparam("_key"), table.c.version == bindparam("_version"), *is_visible(table)


@cache
def _update_of(table: Table, columns: Sequence[str]) -> Update:
    return table.update().where(*_is_it(table)).values({name: bindparam(name) for name in columns})


@cache
def _delete_from(table: Table) -> Delete:
    return table.delete().where(*_is_it(table))


@cache
def _locked_version(table: Table) -> Select[Any]:
    key = key_of(table)
    return select(table.c.version).where(key == bindparam("_key"), *is_visible(table)).with_for_update()
