"""Coalesce concurrent calls into batches."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, TypeAlias, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

Outcome: TypeAlias = Result | Exception


class BatchObserver:
    """Holds the callback that batchers call with the operation and the size of each batch, if one is set."""

    count: Callable[[str, int], None] | None = None


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
