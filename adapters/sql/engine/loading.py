"""Load rows by key, and pages in the order of a key; concurrent reads are batched."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, Final, Generic, NamedTuple, TypeVar

from sqlalchemy import Column, ColumnElement, Integer, Select, bindparam, select

from adapters.sql.engine.batching import Outcome, RequestBatcher
from adapters.sql.engine.database import Database
from adapters.sql.engine.statements import Row

Entity = TypeVar("Entity")

_MAX_WAIT_SECONDS: Final = 0.02
_MAX_INDEXED_ROWS: Final = 201
"""A page of the HTTP API, and one more row."""


class KeyLoader:
    """Loads rows of a table by a unique column; concurrent loads share a statement."""

    def __init__(
        self,
        database: Database,
        key: Column[Any],
        columns: Sequence[Column[Any]],
        conditions: Sequence[ColumnElement[bool]] = (),
    ) -> None:
        self._database: Final = database
        self._key_index: Final = columns.index(key)
        self._statement: Final = select(*columns).where(database.backend.is_one_of(key, "keys"), *conditions)
        self._batcher: Final[RequestBatcher[str, Row | None]] = RequestBatcher(
            self._load, max_wait_seconds=_MAX_WAIT_SECONDS, operation="get", observer=database.batches
        )

    def load(self, key: str) -> Awaitable[Row | None]:
        return self._batcher(key)

    async def load_many(self, keys: Collection[str]) -> Sequence[Row]:
        """Return the rows of many keys, in no particular order."""
        return await self._database.fetch(self._statement, {"keys": list(keys)}) if keys else ()

    async def _load(self, keys: Sequence[str]) -> Sequence[Row | None]:
        rows = await self._database.fetch_indexed(self._statement, {"keys": keys})
        found = {row[self._key_index]: row for row in rows}
        return [found.get(key) for key in keys]


class _Page(NamedTuple):
    """The arguments of a page read; equal ones share a read."""

    after: str | None
    limit: int
    descending: bool
    skip: int
    owner: str | None

    @property
    def is_short(self) -> bool:
        return self.limit <= _MAX_INDEXED_ROWS and not self.skip


class KeysetPaginator(Generic[Entity]):
    """Reads the result of a statement page by page; concurrent requests for the same page share one read."""

    def __init__(
        self, database: Database, statement: Select[Any], key: Column[Any], restore: Callable[[Row], Entity]
    ) -> None:
        """`statement` may have a parameter `owner`."""
        self._database: Final = database
        self._restore: Final = restore
        self._statement: Final = statement
        self._key: Final = key
        self._statements: Final[dict[tuple[bool, bool], Select[Any]]] = {}
        self._batcher: Final[RequestBatcher[_Page, Sequence[Entity]]] = RequestBatcher(
            self._read_all, max_wait_seconds=_MAX_WAIT_SECONDS, operation="page", observer=database.batches
        )

    async def page(
        self,
        *,
        after: str | None = None,
        limit: int,
        descending: bool = False,
        skip: int = 0,
        owner: str | None = None,
    ) -> Sequence[Entity]:
        page = _Page(after, limit, descending, skip, owner)
        if page.is_short:
            return [*await self._batcher(page)]  # a copy, because other callers may have the same list
        return await self._read(page)

    async def _read_all(self, pages: Sequence[_Page]) -> Sequence[Outcome[Sequence[Entity]]]:
        different = dict.fromkeys(pages)
        if len(different) == 1:
            return [await self._read(pages[0])] * len(pages)
        outcomes = dict(zip(different, await asyncio.gather(*map(self._outcome, different)), strict=True))
        return [outcomes[page] for page in pages]

    async def _outcome(self, page: _Page) -> Outcome[Sequence[Entity]]:
        try:
            return await self._read(page)
        except Exception as error:  # noqa: BLE001 - raised to the caller of this page
            return error

    async def _read(self, page: _Page) -> Sequence[Entity]:
        statement = self._statement_of(from_start=page.after is None, descending=page.descending)
        parameters = {name: value for name, value in page._asdict().items() if value is not None}
        fetch = self._database.fetch_indexed if page.is_short else self._database.fetch
        return [*map(self._restore, await fetch(statement, parameters))]

    def _statement_of(self, *, from_start: bool, descending: bool) -> Select[Any]:
        """Return one of four statements, which is built when it is first used."""
        statement = self._statements.get((from_start, descending))
        if statement is None:
            statement = _page(self._statement, self._key, from_start=from_start, descending=descending)
            self._statements[from_start, descending] = statement
        return statement


def _page(statement: Select[Any], key: Column[Any], *, from_start: bool, descending: bool) -> Select[Any]:
    if not from_start:
        after = bindparam("after", type_=key.type)
        statement = statement.where(key < after if descending else key > after)
    ordered = statement.order_by(key.desc() if descending else key)
    return ordered.limit(bindparam("limit", type_=Integer)).offset(bindparam("skip", type_=Integer))
