from typing import Final

from adapters.dynamodb.actions import Action
from adapters.dynamodb.items import SCHEMA_KEY
from adapters.dynamodb.table import Table
from domain.errors import StorageNotPrepared

_VERSION: Final = 1


class SchemaVersion:
    """The schema version that a table is prepared for."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def check(self) -> None:
        """Raise `StorageNotPrepared` for a table that is missing or has an earlier version."""
        stored = (await self._table.read([SCHEMA_KEY])).get(SCHEMA_KEY)
        if stored is None or stored["number"] < _VERSION:
            raise StorageNotPrepared

    async def migrate(self) -> None:
        """Migrate the table to this version. Safe to repeat."""
        try:
            await self.check()
        except StorageNotPrepared:
            await self._table.transact([Action("Put", SCHEMA_KEY, image={"number": _VERSION})])
