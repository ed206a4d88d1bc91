"""Staged writes to the rows of tables."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Connection, Delete, Select, Table, Update, bindparam, select

from adapters.sql.engine.backend import CERTIFIES_WRITES, TransactionCallback
from adapters.sql.tables import USERS, is_visible, key_of, owner_of, unique_columns
from domain.errors import StaleVersion

RowValues: TypeAlias = Mapping[str, Any]


@dataclass(slots=True)
class PendingInsert:
    """Rows that one statement will insert."""

    table: Table
    rows: list[RowValues] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class VersionedUpdate:
    """The changes of a row, which apply only to the version that was read (optimistic locking)."""

    table: Table
    key: str
    version_before: int
    row: RowValues
    """The row after the update."""

    changes: RowValues

    def is_followed_by(self, table: Table, row: RowValues) -> bool:
        """Return whether `row` is the next state of the same row, with the same unique values.

        A unique value that is taken must be rejected even in a state that the same commit replaces.
        """
        is_same = self.table is table and self.key == row[key_of(table).name]
        is_next = is_same and self.row["version"] == row["version"] - 1
        return is_next and all(self.row[name] == row[name] for name in unique_columns(table))

    def merged_with(self, row: RowValues) -> "VersionedUpdate":
        """Return one update for this one and the next, which results in `row`."""
        changes = {name: value for name, value in row.items() if name in self.changes or self.row[name] != value}
        return replace(self, row=row, changes=changes)

    def without(self, columns: Collection[str]) -> "VersionedUpdate":
        """Return the update without some columns."""
        if self.changes.keys().isdisjoint(columns):
            return self
        # In their order: the same columns in another order would be another statement.
        return replace(self, changes={name: value for name, value in self.changes.items() if name not in columns})

    @property
    def statement(self) -> Update:
        return _update(self.table, tuple(self.changes))

    @property
    def parameters(self) -> RowValues:
        return {**self.changes, "_key": self.key, "_version": self.version_before}


@dataclass(frozen=True, slots=True)
class VersionedDelete:
    """The removal of a row, which applies only to the version that was read."""

    statement: Delete
    parameters: RowValues


VersionedWrite: TypeAlias = VersionedUpdate | VersionedDelete
Write: TypeAlias = PendingInsert | VersionedWrite | TransactionCallback[None]


class StagedWrites:
    """The writes of a unit of work.

    Consecutive additions to a table become one insert; consecutive saves of a row become one update.
    """

    def __init__(self) -> None:
        self._writes: list[Write] = []
        self._touched: dict[Table, set[str]] = {}
        self._owners: set[str] = set()

    def add(self, table: Table, row: RowValues) -> None:
        last = self._writes[-1] if self._writes else None
        if not isinstance(last, PendingInsert) or last.table is not table:
            last = PendingInsert(table)
            self._writes.append(last)
        last.rows.append(row)

    def save(self, table: Table, row: RowValues, known: RowValues | None = None) -> None:
        """Stage a save: of the columns that differ from the `known` stored row, or of all mutable columns."""
        last = self._writes[-1] if self._writes else None
        if isinstance(last, VersionedUpdate) and last.is_followed_by(table, row):
            self._writes[-1] = last.merged_with(row)
            return
        key, owner = key_of(table), owner_of(table)
        if known is None:
            changes = {column.name: row[column.name] for column in table.columns if column not in {key, owner}}
        else:
            changes = {name: value for name, value in row.items() if known[name] != value}
        update = VersionedUpdate(table, row[key.name], row["version"] - 1, row, changes)
        self.append(table, row[key.name], None if owner is None else row[owner.name], update)

    def remove(self, table: Table, key: str, owner: str | None, version: int) -> None:
        self.append(table, key, owner, VersionedDelete(_delete(table), {"_key": key, "_version": version}))

    def require(self, table: Table, key: str, owner: str | None, version: int) -> None:
        def require(connection: Connection) -> None:
            if connection.info.get(CERTIFIES_WRITES):
                _write_back(connection, table, key, version)
            elif connection.execute(_lock_version(table), {"_key": key}).scalar_one_or_none() != version:
                raise StaleVersion

        self.append(table, key, owner, require)

    def append(
        self, table: Table, key: str, owner: str | None, write: VersionedWrite | TransactionCallback[None]
    ) -> None:
        """Stage a write of one row."""
        self._writes.append(write)
        self._touched.setdefault(table, set()).add(key)
        if owner is not None:
            self._owners.add(owner)

    def take(self) -> Sequence[Write]:
        """Return all writes and clear the list."""
        writes = [*self._locks(), *self._writes]
        self._writes, self._touched, self._owners = [], {}, set()
        return writes

    def _locks(self) -> Sequence[Write]:
        """Return writes that lock all rows in one order, so that commits do not deadlock.

        Owners are locked with their records, because a removal may leave those rows to be deleted later.
        """
        if sum(map(len, self._touched.values())) < 2:
            return []
        users = self._touched.pop(USERS, set())
        locks = [_lock(USERS, users | self._owners, key_share=not users)] if users or self._owners else []
        return [*locks, *(_lock(table, self._touched[table]) for table in sorted(self._touched, key=str))]


def _lock(table: Table, keys: Collection[str], *, key_share: bool = False) -> TransactionCallback[None]:
    def lock(connection: Connection) -> None:
        connection.execute(_lock_rows(table, key_share), {"keys": [*keys]})

    return lock


def _conditions(table: Table) -> Sequence[ColumnElement[bool]]:
    return key_of(table) == bindparam("_key"), table.c.version == bindparam("_version"), *is_visible(table)


@cache
def _lock_rows(table: Table, key_share: bool) -> Select[Any]:
    key = key_of(table)
    found = select(key).where(key.in_(bindparam("keys", expanding=True))).order_by(key)
    return found.with_for_update(key_share=key_share)


@cache
def _update(table: Table, columns: Sequence[str]) -> Update:
    return table.update().where(*_conditions(table)).values({name: bindparam(name) for name in columns})


@cache
def _delete(table: Table) -> Delete:
    return table.delete().where(*_conditions(table))


@cache
def _lock_version(table: Table) -> Select[Any]:
    key = key_of(table)
    return select(table.c.version).where(key == bindparam("_key"), *is_visible(table)).with_for_update()


def _write_back(connection: Connection, table: Table, key: str, version: int) -> None:
    """Write a row without changing it, so that the commit fails if a concurrent one writes the row."""
    for statement, expected in ((_count_up(table), version), (_count_down(table), version + 1)):
        if connection.execute(statement, {"_key": key, "_version": expected}).rowcount != 1:
            raise StaleVersion


@cache
def _count_up(table: Table) -> Update:
    return table.update().where(*_conditions(table)).values(version=table.c.version + 1)


@cache
def _count_down(table: Table) -> Update:
    return table.update().where(*_conditions(table)).values(version=table.c.version - 1)
