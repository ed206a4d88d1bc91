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

    __slots__ = ("_items", "_loop", "_process")

    def __init__(self, process: Callable[[Sequence[T]], object]) -> None:
        """The event loop calls `process` with all items. It does not run in the context of a request."""
        self._items: list[T] = []
        self._process: Final = process
        self._loop: AbstractEventLoop | None = None  # that will process the items

    def add(self, item: T) -> None:
        """Add an item, on an event loop's thread."""
        self._items.append(item)
        if self._loop is None or self._loop.is_closed():
            self._loop = get_running_loop()  # a system call before Python 3.12, so not for every item
            self._loop.call_later(DELAY_SECONDS, self._run, context=Context())

    def flush(self) -> None:
        """Process the items at once, on the event loop's thread or after its end."""
        items, self._items = self._items, []
        if items:
            self._process(items)

    def _run(self) -> None:
        self._loop = None
        self.flush()
