"""Coalesce concurrent calls into batches: any calls, loads of rows by key, and reads of pages in the order of a key."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, Final, Generic, NamedTuple, TypeAlias, TypeVar

from sqlalchemy import Column, ColumnElement, Integer, Select, bindparam, select

from adapters.sql.engine.database import BatchObserver, Database
from adapters.sql.engine.statements import Row

Entity = TypeVar("Entity")
Item = TypeVar("Item")
Result = TypeVar("Result")

Outcome: TypeAlias = Result | Exception

_MAX_WAIT_SECONDS: Final = 0.02
_MAX_INDEXED_ROWS: Final = 201
"""A page of the HTTP API, and one more row."""


class RequestBatcher(Generic[Item, Result]):
    """Coalesces concurrent calls into one batch; each caller gets its own result.

    A single call is processed immediately. While a batch is being processed, further calls wait for the next one, which
    starts when the previous one has ended or after `max_wait_seconds`. Cancelling a call affects no other call, and
    does not stop a running batch.
    """

    def __init__(
        self,
        process: Callable[[Sequence[Item]], Awaitable[Sequence[Outcome[Result]]]],
        *,
        max_batch: int = 100,
        max_wait_seconds: float,
        operation: str = "",
        observer: BatchObserver | None = None,
    ) -> None:
        """`process` returns a result or an exception for each item, in order, or raises for all of them.

        The observer gets the name of the operation with the size of each batch.
        """
        self._process: Final = process
        self._max_batch: Final = max_batch
        self._max_wait_seconds: Final = max_wait_seconds
        self._operation: Final = operation
        self._observer: Final = observer or BatchObserver()
        self._waiting: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self._current: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __call__(self, item: Item) -> Result:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        self._waiting.append((item, future))
        if len(self._waiting) == 1 and self._current is None:
            loop.call_soon(self._begin)  # after all calls whose requests arrived together
        return await future

    def _begin(self) -> None:
        if self._current is not None:
            return
        batch: list[tuple[Item, asyncio.Future[Result]]] = []
        while self._waiting and len(batch) < self._max_batch:
            item, future = self._waiting.popleft()
            if not future.done():  # cancelled
                batch.append((item, future))
        if batch:
            if self._observer.count is not None:
                self._observer.count(self._operation, len(batch))
            loop = asyncio.get_running_loop()
            self._current = task = loop.create_task(self._run(batch))
            self._tasks.add(task)
            timer = loop.call_later(self._max_wait_seconds, self._begin_next, task)
            task.add_done_callback(lambda _: timer.cancel())
            task.add_done_callback(self._tasks.discard)
            task.add_done_callback(self._begin_next)

    def _begin_next(self, task: asyncio.Task[None] | None) -> None:
        if self._current is task:
            self._current = None
            self._begin()

    async def _run(self, batch: Sequence[tuple[Item, asyncio.Future[Result]]]) -> None:
        try:
            outcomes = await self._process([item for item, _ in batch])
            self._begin_next(asyncio.current_task())  # before the callers resume and occupy the event loop
            for (_, future), outcome in zip(batch, outcomes, strict=True):
                _settle(future, outcome)
        except Exception as error:  # noqa: BLE001 - raised to each caller
            for _, future in batch:
                _settle(future, error)
        except BaseException:  # the event loop is closing
            for _, future in batch:
                future.cancel()
            raise


def _settle(future: asyncio.Future[Result], outcome: Outcome[Result]) -> None:
    if future.done():  # cancelled
        return
    if isinstance(outcome, Exception):
        future.set_exception(_copy(outcome))
    else:
        future.set_result(outcome)


def _copy(error: Exception) -> Exception:
    """Return a copy of an exception: each `raise` extends its traceback."""
    kind = type(error)
    copied = kind.__new__(kind, *error.args)  # skips the constructor, which may take other arguments
    vars(copied).update(vars(error))
    copied.__cause__ = error
    return copied


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
