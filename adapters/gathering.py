"""Serving calls that arrive together in one go."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, TypeAlias, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")

Outcome: TypeAlias = Answer | Exception


class Gathering(Generic[Item, Answer]):
    """Hands on what is asked for at the same time as one batch, and each answer to whoever asked.

    Who comes alone is served at once. While a batch is being served, others gather for the next one; it begins when
    the last one has ended, or was too slow to wait for. Whoever is cancelled leaves the others alone, and what had
    begun for them goes on.
    """

    def __init__(
        self,
        serve: Callable[[Sequence[Item]], Awaitable[Sequence[Outcome[Answer]]]],
        *,
        most: int = 100,
        patience_seconds: float,
    ) -> None:
        """`serve` gives an answer or an exception for each of up to `most` items, in their order, or raises for all."""
        self._serve: Final = serve
        self._most: Final = most
        self._patience_seconds: Final = patience_seconds
        self._waiting: deque[tuple[Item, asyncio.Future[Answer]]] = deque()
        self._current: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __call__(self, item: Item) -> Answer:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Answer] = loop.create_future()
        self._waiting.append((item, answer))
        if len(self._waiting) == 1 and self._current is None:
            loop.call_soon(self._begin)  # behind all those whose requests have come in with this one
        return await answer

    def _begin(self) -> None:
        if self._current is not None:
            return
        batch: list[tuple[Item, asyncio.Future[Answer]]] = []
        while self._waiting and len(batch) < self._most:
            item, answer = self._waiting.popleft()
            if not answer.done():  # it is when it was cancelled
                batch.append((item, answer))
        if batch:
            loop = asyncio.get_running_loop()
            self._current = task = loop.create_task(self._settle(batch))
            self._tasks.add(task)
            impatience = loop.call_later(self._patience_seconds, self._go_on_without, task)
            task.add_done_callback(lambda _: impatience.cancel())
            task.add_done_callback(self._tasks.discard)
            task.add_done_callback(self._go_on_without)

    def _go_on_without(self, task: asyncio.Task[None] | None) -> None:
        if self._current is task:
            self._current = None
            self._begin()

    async def _settle(self, batch: Sequence[tuple[Item, asyncio.Future[Answer]]]) -> None:
        try:
            outcomes = await self._serve([item for item, _ in batch])
            self._go_on_without(asyncio.current_task())  # before the answers, which keep the event loop busy
            for (_, answer), outcome in zip(batch, outcomes, strict=True):
                _tell(answer, outcome)
        except Exception as error:  # noqa: BLE001 - nothing is swallowed: each of those who wait has it raised
            for _, answer in batch:
                _tell(answer, error)
        except BaseException:  # the end of the loop, which is theirs too
            for _, answer in batch:
                answer.cancel()
            raise


def _tell(answer: asyncio.Future[Answer], outcome: Outcome[Answer]) -> None:
    if answer.done():  # it is when it was cancelled
        return
    if isinstance(outcome, Exception):
        answer.set_exception(_another(outcome))
    else:
        answer.set_result(outcome)


def _another(error: Exception) -> Exception:
    """Copy an exception, since each raising of one writes its way into it."""
    kind = type(error)
    copied = kind.__new__(kind, *error.args)  # without its constructor, which may want to be called otherwise
    vars(copied).update(vars(error))
    copied.__cause__ = error
    return copied
