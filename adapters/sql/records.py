"""The records of every type in SQL."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Generic

from sqlalchemy import Integer, bindparam, exists, func, select

from adapters.sql.engine.batching import KeyLoader, KeysetPaginator
from adapters.sql.engine.database import Database
from adapters.sql.engine.statements import Row
from adapters.sql.engine.writes import PendingInsert, StagedWrite, VersionedDelete, VersionedUpdate, required_version
from adapters.sql.record_tables import RecordTable
from adapters.sql.tables import REMOVED_USERS, is_visible, key_of
from domain.records import R
from domain.values import UserId


class RecordQueries(Generic[R]):
    """The queries for a record type, shared by all units of work so that concurrent reads are batched."""

    def __init__(self, database: Database, mapping: RecordTable[R]) -> None:
        table, columns = mapping.table, mapping.columns
        key, conditions = key_of(table), is_visible(table)
        self.database: Final = database
        self.mapping: Final = mapping
        self.by_key: Final = KeyLoader(database, key, columns, conditions)
        self.by_unique_field: Final = {
            name: KeyLoader(database, table.c[name], columns, conditions) for name in mapping.record_type.unique
        }
        records = select(*columns).where(*conditions)
        self.pages: Final = KeysetPaginator(database, records, key, mapping.from_row)
        self.count: Final = select(func.count()).select_from(table).where(*conditions)
        if mapping.owner is not None:
            owner = bindparam("owner", type_=mapping.owner.type)
            is_owned = (mapping.owner == owner, ~exists().where(REMOVED_USERS.c.user_id == owner))
            owned = select(*columns).where(*is_owned)
            self.owned_pages: Final = KeysetPaginator(database, owned, key, mapping.from_row)
            self.owned_count: Final = select(func.count()).select_from(table).where(*is_owned)
        if mapping.record_type.due is not None:
            due = table.c[mapping.record_type.due]
            # The order makes a database use the index, even if it expects many due rows.
            ordered = records.where(due <= bindparam("moment")).order_by(due, key)
            self.due: Final = ordered.limit(bindparam("limit", type_=Integer))


class SqlRecords(Generic[R]):
    """The records of one type in a unit of work."""

    def __init__(self, queries: RecordQueries[R], staged: list[StagedWrite]) -> None:
        self._queries = queries
        self._mapping = queries.mapping
        self._type = queries.mapping.record_type
        self._table = queries.mapping.table
        self._staged = staged

    async def get(self, key: str) -> R | None:
        return self._record(await self._queries.by_key.load(key))

    async def find(self, field: str, value: str) -> R | None:
        return self._record(await self._queries.by_unique_field[field].load(value))

    async def page(
        self,
        *,
        owner: UserId | None = None,
        after: str | None = None,
        limit: int,
        descending: bool = False,
        skip: int = 0,
    ) -> Sequence[R]:
        pages = self._queries.pages if owner is None else self._queries.owned_pages
        return await pages.page(after=after, limit=limit, descending=descending, skip=skip, owner=owner)

    async def count(self, *, owner: UserId | None = None) -> int:
        statement = self._queries.count if owner is None else self._queries.owned_count
        return int((await self._queries.database.fetch(statement, {} if owner is None else {"owner": owner}))[0][0])

    async def due(self, moment: datetime, *, limit: int) -> Sequence[R]:
        rows = await self._queries.database.fetch(self._queries.due, {"moment": moment, "limit": limit})
        return [self._mapping.from_row(row) for row in rows]

    def add(self, record: R) -> None:
        self._staged.append(PendingInsert(self._table, [self._mapping.to_row(record)]))

    def save(self, record: R) -> None:
        self._staged.append(VersionedUpdate.to(self._table, self._mapping.to_row(record)))

    def remove(self, record: R) -> None:
        self._staged.append(VersionedDelete(self._table, *self._row(record)))

    def require(self, record: R) -> None:
        self._staged.append(required_version(self._table, *self._row(record)))

    def _row(self, record: R) -> tuple[str, str | None, int]:
        return self._type.key_of(record), self._type.owner_of(record), record.version

    def _record(self, row: Row | None) -> R | None:
        return None if row is None else self._mapping.from_row(row)
