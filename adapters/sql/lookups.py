"""Single rows by a key; those that are asked for together are read together."""

from collections.abc import Collection, Sequence
from functools import cache
from typing import Any, Final

from sqlalchemy import Column, Select, select

from adapters.gathering import Gathering
from adapters.sql.database import READ_PATIENCE, Database
from adapters.sql.dialects.dialect import Dialect
from adapters.sql.driver_statements import Row


class Lookup:
    """The rows of a table by one of its columns, which is unique."""

    def __init__(self, database: Database, key: Column[Any], columns: Sequence[Column[Any]]) -> None:
        self._database: Final = database
        self._place: Final = columns.index(key)
        self._statement: Final = _by_key(database.dialect, key, tuple(columns))
        self._together: Final[Gathering[str, Row | None]] = Gathering(self._read, patience_seconds=READ_PATIENCE)

    async def row(self, key: str) -> Row | None:
        return await self._together(key)

    async def rows(self, keys: Collection[str]) -> Sequence[Row]:
        """Read the rows of many keys at once, in no particular order."""
        return await self._database.rows(self._statement, {"keys": list(keys)})

    async def _read(self, keys: Sequence[str]) -> Sequence[Row | None]:
        rows = await self._database.few_rows(self._statement, {"keys": keys})
        found = {row[self._place]: row for row in rows}
        return [found.get(key) for key in keys]


@cache
def _by_key(dialect: Dialect, key: Column[Any], columns: Sequence[Column[Any]]) -> Select[Any]:
    return select(*columns).where(dialect.is_one_of(key, "keys"))
