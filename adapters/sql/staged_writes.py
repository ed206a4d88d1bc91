from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, TypeAlias

from sqlalchemy import Column, Delete, Insert, Table, Update, select
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.sql.tables import Base
from domain.errors import StaleVersion

Write: TypeAlias = Callable[[AsyncConnection], Awaitable[None]]


class StagedWrites:
    """What a unit of work will do at its commit. Rows that are added one after another go in one statement."""

    def __init__(self) -> None:
        self._writes: list[Write] = []
        self._added: tuple[Table, list[Mapping[str, object]]] | None = None
        self._touched: dict[Table, set[str]] = {}

    def add(self, table: Table, values: Mapping[str, object]) -> None:
        if self._added is not None and self._added[0] is table:
            self._added[1].append(values)
            return
        rows = [values]

        async def write(connection: AsyncConnection) -> None:
            await connection.execute(table.insert(), rows)

        self._append(write)
        self._added = (table, rows)

    def put(self, table: Table, key: str, upsert: Insert) -> None:
        self._touch(table, key)

        async def write(connection: AsyncConnection) -> None:
            await connection.execute(upsert)

        self._append(write)

    def save(self, table: Table, values: Mapping[str, Any]) -> None:
        self._change(table, values[_key(table).name], values["version"] - 1, table.update().values(values))

    def remove(self, table: Table, key: str, version: int) -> None:
        self._change(table, key, version, table.delete())

    def require(self, column: Column[Any], key: str, value: object) -> None:
        """Let the commit go on only if the row of that key has that very value, and nobody can change it any more."""
        self._touch(column.table, key)
        statement = select(column).where(_key(column.table) == key).with_for_update()

        async def write(connection: AsyncConnection) -> None:
            # Compared here, since to MariaDB a text is equal to another one that ends with more spaces.
            if (await connection.execute(statement)).scalar_one_or_none() != value:
                raise StaleVersion

        self._append(write)

    def _change(self, table: Table, key: str, version: int, change: Update | Delete) -> None:
        self._touch(table, key)
        statement = change.where(_key(table) == key, table.c.version == version)

        async def write(connection: AsyncConnection) -> None:
            if (await connection.execute(statement)).rowcount != 1:
                raise StaleVersion

        self._append(write)

    def _touch(self, table: Table, key: str) -> None:
        self._touched.setdefault(table, set()).add(key)

    def _append(self, write: Write) -> None:
        self._added = None
        self._writes.append(write)

    def take(self) -> Sequence[Write]:
        """Give out all of it and be empty."""
        writes = [*self._locks(), *self._writes]
        self._writes, self._added, self._touched = [], None, {}
        return writes

    def _locks(self) -> Sequence[Write]:
        """Lock all rows in one order, whatever that of the writes, so that no two commits wait for each other."""
        if sum(map(len, self._touched.values())) < 2:
            return []
        return [_lock(table, self._touched[table]) for table in Base.metadata.sorted_tables if table in self._touched]


def _key(table: Table) -> Column[Any]:
    (key,) = table.primary_key
    return key


def _lock(table: Table, keys: Collection[str]) -> Write:
    key = _key(table)
    statement = select(key).where(key.in_(keys)).order_by(key).with_for_update()

    async def write(connection: AsyncConnection) -> None:
        await connection.execute(statement)

    return write
