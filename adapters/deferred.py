"""Work that follows a request and need not be done at once."""

from asyncio import AbstractEventLoop, get_running_loop
from collections.abc import Callable, Sequence
from contextvars import Context
from typing import Final, Generic, TypeVar

T = TypeVar("T")

DELAY_SECONDS: Final = 0.01


class Deferred(Generic[T]):
    """Items that are processed together, 10 milliseconds after the first of them.

    Work between two requests finds neither its code nor its data in the processor's caches, and takes several times as
    long as when it is repeated.
    """

    __slots__ = ("_items", "_process", "_scheduled_by")

    def __init__(self, process: Callable[[], object]) -> None:
        """The event loop calls `process`, which takes the items. It does not run in the context of a request."""
        self._items: list[T] = []
        self._process: Final = process
        self._scheduled_by: AbstractEventLoop | None = None

    def add(self, item: T) -> None:
        """Add an item, on an event loop's thread."""
        self._items.append(item)
        if self._scheduled_by is not (loop := get_running_loop()):
            self._scheduled_by = loop
            loop.call_later(DELAY_SECONDS, self._run, context=Context())

    def take(self) -> Sequence[T]:
        """Remove and return all items."""
        items, self._items = self._items, []
        return items

    def _run(self) -> None:
        self._scheduled_by = None
        self._process()
