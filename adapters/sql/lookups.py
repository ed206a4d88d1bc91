"""Single rows by a key; concurrent loads share a statement."""

from collections.abc import Collection, Sequence
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, select

from adapters.gathering import Gathering
from adapters.sql.database import READ_PATIENCE, Database
from adapters.sql.driver_statements import Row


class KeyLoader:
    """Loads rows of a table by one of its unique columns."""

    def __init__(
        self,
        database: Database,
        key: Column[Any],
        columns: Sequence[Column[Any]],
        conditions: Sequence[ColumnElement[bool]] = (),
    ) -> None:
        self._database: Final = database
        self._key_index: Final = columns.index(key)
        self._statement: Final = select(*columns).where(database.dialect.is_one_of(key, "keys"), *conditions)
        self._batcher: Final[Gathering[str, Row | None]] = Gathering(self._load, patience_seconds=READ_PATIENCE)

    async def load(self, key: str) -> Row | None:
        return await self._batcher(key)

    async def load_many(self, keys: Collection[str]) -> Sequence[Row]:
        """Return the rows of many keys, in no particular order."""
        return await self._database.rows(self._statement, {"keys": list(keys)})

    async def _load(self, keys: Sequence[str]) -> Sequence[Row | None]:
        rows = await self._database.few_rows(self._statement, {"keys": keys})
        found = {row[self._key_index]: row for row in rows}
        return [found.get(key) for key in keys]
