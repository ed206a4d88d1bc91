"""Pages in the order of a key; those that are asked for together are read together, the same ones once."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any, Final, Generic, NamedTuple, TypeVar

from sqlalchemy import Column, Integer, Select, bindparam

from adapters.gathering import Gathering, Outcome
from adapters.sql.database import READ_PATIENCE, Database
from adapters.sql.driver_statements import Row

Entity = TypeVar("Entity")

_FEW: Final = 201
"""A page as the HTTP API asks for it, and one row more."""


class _Page(NamedTuple):
    after: str | None
    limit: int
    descending: bool
    skip: int
    owner: str | None

    @property
    def is_brief(self) -> bool:
        return self.limit <= _FEW and not self.skip


class KeysetPaginator(Generic[Entity]):
    """What a statement finds, page by page. The statements are made once, in all their forms."""

    def __init__(
        self, database: Database, statement: Select[Any], key: Column[Any], restore: Callable[[Row], Entity]
    ) -> None:
        """`statement` may have a parameter `owner`."""
        self._database: Final = database
        self._restore: Final = restore
        self._forms: Final = _forms(statement, key)
        self._together: Final[Gathering[_Page, Sequence[Entity]]] = Gathering(
            self._read, patience_seconds=READ_PATIENCE
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
        if page.is_brief:
            return [*await self._together(page)]  # which others may have got as well
        return await self._entities(page)

    async def _read(self, pages: Sequence[_Page]) -> Sequence[Outcome[Sequence[Entity]]]:
        different = dict.fromkeys(pages)
        if len(different) == 1:
            return [await self._entities(pages[0])] * len(pages)
        outcomes = dict(zip(different, await asyncio.gather(*map(self._outcome, different)), strict=True))
        return [outcomes[page] for page in pages]

    async def _outcome(self, page: _Page) -> Outcome[Sequence[Entity]]:
        try:
            return await self._entities(page)
        except Exception as error:  # noqa: BLE001 - nothing is swallowed: whoever asked for this page has it raised
            return error

    async def _entities(self, page: _Page) -> Sequence[Entity]:
        statement = self._forms[page.after is None, page.descending]
        parameters = {name: value for name, value in page._asdict().items() if value is not None}
        read = self._database.few_rows if page.is_brief else self._database.rows
        return [*map(self._restore, await read(statement, parameters))]


def _forms(statement: Select[Any], key: Column[Any]) -> Mapping[tuple[bool, ...], Select[Any]]:
    return {form: _page(statement, key, *form) for form in product((True, False), repeat=2)}


def _page(statement: Select[Any], key: Column[Any], from_start: bool, descending: bool) -> Select[Any]:
    if not from_start:
        after = bindparam("after", type_=key.type)
        statement = statement.where(key < after if descending else key > after)
    ordered = statement.order_by(key.desc() if descending else key)
    return ordered.limit(bindparam("limit", type_=Integer)).offset(bindparam("skip", type_=Integer))
