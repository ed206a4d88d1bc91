from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, TypeAlias

from sqlalchemy import Delete, Table, Update, select
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

        self.append(write)
        self._added = (table, rows)

    def save(self, table: Table, values: Mapping[str, Any]) -> None:
        self._change(table, values["id"], values["version"] - 1, table.update().values(values))

    def remove(self, table: Table, record_id: str, version: int) -> None:
        self._change(table, record_id, version, table.delete())

    def _change(self, table: Table, record_id: str, version: int, change: Update | Delete) -> None:
        self._touched.setdefault(table, set()).add(record_id)
        statement = change.where(table.c.id == record_id, table.c.version == version)

        async def write(connection: AsyncConnection) -> None:
            if (await connection.execute(statement)).rowcount != 1:
                raise StaleVersion

        self.append(write)

    def append(self, write: Write) -> None:
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


def _lock(table: Table, ids: Collection[str]) -> Write:
    statement = select(table.c.id).where(table.c.id.in_(ids)).order_by(table.c.id).with_for_update()

    async def write(connection: AsyncConnection) -> None:
        await connection.execute(statement)

    return write
