from collections.abc import Collection, Sequence

from sqlalchemy import Connection, Table, select

from adapters.sql.dialects.dialect import Dialect
from adapters.sql.tables import USERS, key_of, owner_of
from adapters.sql.writes import (
    PendingInsert,
    TransactionCallback,
    Values,
    VersionedUpdate,
    Write,
    removal,
    requirement,
)


class StagedWrites:
    """What a unit of work will do at its commit.

    Rows that are added one after another become one insert, and saves of one row that follow one another one update.
    """

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._writes: list[Write] = []
        self._touched: dict[Table, set[str]] = {}
        self._owners: set[str] = set()

    def add(self, table: Table, row: Values) -> None:
        last = self._writes[-1] if self._writes else None
        if not isinstance(last, PendingInsert) or last.table is not table:
            last = PendingInsert(table, self._dialect)
            self._writes.append(last)
        last.rows.append(row)

    def save(self, table: Table, row: Values, known: Values | None = None) -> None:
        """Stage a save of all that may change, or of what differs from the row that is known to be there before."""
        key, version_before = str(row[key_of(table).name]), row["version"] - 1
        last = self._writes[-1] if self._writes else None
        if isinstance(last, VersionedUpdate) and last.leads_to(table, key, version_before):
            self._writes[-1] = last.followed_by(row)
            return
        if known is None:
            fixed = {key_of(table), owner_of(table)}
            changes = {column.name: row[column.name] for column in table.columns if column not in fixed}
        else:
            changes = {name: value for name, value in row.items() if known[name] != value}
        owner = owner_of(table)
        update = VersionedUpdate(table, key, version_before, row, changes)
        self.append(table, key, None if owner is None else row[owner.name], update)

    def remove(self, table: Table, key: str, owner: str | None, version: int) -> None:
        self.append(table, key, owner, removal(table, key, version))

    def require(self, table: Table, key: str, owner: str | None, version: int) -> None:
        self.append(table, key, owner, requirement(table, key, version))

    def append(self, table: Table, key: str, owner: str | None, write: VersionedUpdate | TransactionCallback) -> None:
        """Stage a write of one row."""
        self._writes.append(write)
        self._touched.setdefault(table, set()).add(key)
        if owner is not None:
            self._owners.add(owner)

    def take(self) -> Sequence[Write]:
        """Return all of it and be empty."""
        writes = [*self._locks(), *self._writes]
        self._writes, self._touched, self._owners = [], {}, set()
        return writes

    def _locks(self) -> Sequence[Write]:
        """Lock all rows in one order, whatever that of the writes, so that no two commits wait for each other.

        Owners are locked with what they own: their removal does not touch those rows.
        """
        if sum(map(len, self._touched.values())) < 2:
            return []
        users = self._touched.pop(USERS, set())
        locks = [_lock(USERS, users | self._owners, key_share=not users)] if users or self._owners else []
        return [*locks, *(_lock(table, self._touched[table]) for table in sorted(self._touched, key=str))]


def _lock(table: Table, keys: Collection[str], *, key_share: bool = False) -> TransactionCallback:
    key = key_of(table)
    statement = select(key).where(key.in_(keys)).order_by(key).with_for_update(key_share=key_share)

    def lock(connection: Connection) -> None:
        connection.execute(statement)

    return lock
