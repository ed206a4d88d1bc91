"""Staged writes to the rows of tables."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Connection, Delete, Select, Table, Update, bindparam, select

from adapters.sql.engine.backend import CERTIFIES_WRITES, TransactionCallback
from adapters.sql.tables import USERS, is_visible, key_of, owner_of, unique_columns
from domain.errors import StaleVersion

RowValues: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PendingInsert:
    """Rows that one statement will insert."""

    table: Table
    rows: list[RowValues]


@dataclass(frozen=True, slots=True)
class VersionedUpdate:
    """The changes of a row, which apply only to the version that was read (optimistic locking)."""

    table: Table
    key: str
    version_before: int
    row: RowValues
    """The row after the update."""

    changes: RowValues

    @classmethod
    def to(cls, table: Table, row: RowValues, known: RowValues | None = None) -> "VersionedUpdate":
        """Return the update of the columns that differ from the `known` stored row, or of all mutable columns."""
        key, owner = key_of(table), owner_of(table)
        if known is None:
            changes = {column.name: row[column.name] for column in table.columns if column not in {key, owner}}
        else:
            changes = {name: value for name, value in row.items() if known[name] != value}
        return cls(table, row[key.name], row["version"] - 1, row, changes)

    @property
    def owner(self) -> str | None:
        column = owner_of(self.table)
        return None if column is None else self.row[column.name]

    def is_followed_by(self, update: "VersionedUpdate") -> bool:
        """Return whether `update` leads to the next state of the same row, with the same unique values.

        A unique value that is taken must be rejected even in a state that the same commit replaces.
        """
        is_same = self.table is update.table and self.key == update.key
        is_next = is_same and self.row["version"] == update.version_before
        return is_next and all(self.row[name] == update.row[name] for name in unique_columns(self.table))

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

    table: Table
    key: str
    owner: str | None
    version_before: int

    @property
    def statement(self) -> Delete:
        return _delete(self.table)

    @property
    def parameters(self) -> RowValues:
        return {"_key": self.key, "_version": self.version_before}


@dataclass(frozen=True, slots=True)
class RowCallback:
    """Any other write of a row, or a condition for it."""

    table: Table
    key: str
    owner: str | None
    callback: TransactionCallback[None]

    def __call__(self, connection: Connection) -> None:
        self.callback(connection)


VersionedWrite: TypeAlias = VersionedUpdate | VersionedDelete
StagedWrite: TypeAlias = PendingInsert | VersionedWrite | RowCallback
Write: TypeAlias = StagedWrite | TransactionCallback[None]


def required_version(table: Table, key: str, owner: str | None, version: int) -> RowCallback:
    """Return the condition that a row is at this version."""

    def require(connection: Connection) -> None:
        if connection.info.get(CERTIFIES_WRITES):
            _write_back(connection, table, key, version)
        elif connection.execute(_lock_version(table), {"_key": key}).scalar_one_or_none() != version:
            raise StaleVersion

    return RowCallback(table, key, owner, require)


def planned(staged: Sequence[StagedWrite]) -> Sequence[Write]:
    """Return the writes of a commit for those of a unit of work, in their order, after the locks that they need.

    Consecutive inserts into a table become one; so do consecutive updates of a row.
    """
    writes: list[StagedWrite] = []
    for write in staged:
        last = writes[-1] if writes else None
        if isinstance(write, PendingInsert):
            if not isinstance(last, PendingInsert) or last.table is not write.table:
                last = PendingInsert(write.table, [])
                writes.append(last)
            last.rows.extend(write.rows)
        elif isinstance(write, VersionedUpdate) and isinstance(last, VersionedUpdate) and last.is_followed_by(write):
            writes[-1] = last.merged_with(write.row)
        else:
            writes.append(write)
    return [*_locks(writes), *writes] if len(writes) > 1 else writes


def _locks(writes: Sequence[StagedWrite]) -> Sequence[Write]:
    """Return writes that lock all rows in one order, so that commits do not deadlock.

    Owners are locked with their records, because a removal may leave those rows to be deleted later.
    """
    touched: dict[Table, set[str]] = {}
    owners: set[str] = set()
    for write in writes:
        if not isinstance(write, PendingInsert):
            touched.setdefault(write.table, set()).add(write.key)
            if write.owner is not None:
                owners.add(write.owner)
    if sum(map(len, touched.values())) < 2:
        return []
    users = touched.pop(USERS, set())
    locks = [_lock(USERS, users | owners, key_share=not users)] if users or owners else []
    return [*locks, *(_lock(table, touched[table]) for table in sorted(touched, key=str))]


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
