"""Reading one page of a list in bounded memory, however large its items are and however slowly clients read it."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, Protocol, TypeVar
from weakref import WeakSet

MAX_PAGE_BYTES: Final = 1024 * 1024
MAX_SMALL_PAGE_BYTES: Final = 64 * 1024
MAX_LARGE_PAGES: Final = 32

# So many are read at once: the default page, or half of the largest, and one more.
_SLICE: Final = 101

# So many are encoded at once, in the hope that all of them fit: the default page.
_BATCH: Final = 50


class _Record(Protocol):
    @property
    def id(self) -> str: ...


R = TypeVar("R", bound=_Record)


class LargePagePermit:
    """Lets one page exceed `MAX_SMALL_PAGE_BYTES`, for as long as the object is referenced.

    A response holds it until it is sent, or until it is dropped unsent; there is nothing to give back.
    """

    _in_use: Final[WeakSet["LargePagePermit"]] = WeakSet()

    @classmethod
    def acquire(cls) -> "LargePagePermit | None":
        """Return one of the `MAX_LARGE_PAGES` permits of this process; None if all are in use."""
        if len(cls._in_use) >= MAX_LARGE_PAGES:
            return None
        permit = cls()
        cls._in_use.add(permit)
        return permit


class Page(Generic[R]):
    """The encoded records of one page. It ends early when they take too many bytes, but has at least one."""

    def __init__(self, max_items: int, encode: Callable[[Sequence[R]], bytes]) -> None:
        self._room = max_items
        self._encode = encode
        self._parts: list[bytes] = []  # a JSON array each
        self._bytes = 0
        self.last_id: str | None = None
        self.has_more = False
        """Whether there are records behind the last one."""
        self.permit: LargePagePermit | None = None

    @property
    def body(self) -> bytes:
        """The records as a JSON array."""
        if len(self._parts) == 1:
            return self._parts[0]
        return b"[%b]" % b",".join([part[1:-1] for part in self._parts])

    def fill(self, records: Sequence[R]) -> int:
        """Add as many records as fit, and return how many were given."""
        room = self._room
        allowed = records[:room]
        batches = [allowed[begin : begin + _BATCH] for begin in range(0, len(allowed), _BATCH)]
        self.has_more = not all(map(self._add_batch, batches)) or len(records) > room
        return len(records)

    def _add_batch(self, records: Sequence[R]) -> bool:
        # One by one only where that is needed: together they take half as long to encode.
        return self._add(records) or all(self._add((record,)) for record in records)

    def _add(self, records: Sequence[R]) -> bool:
        part = self._encode(records)
        is_first_record = not self._parts and len(records) == 1
        if not is_first_record and not self._fits(len(part)):
            return False
        self._parts.append(part)
        self._bytes += len(part)
        self._room -= len(records)
        self.last_id = records[-1].id
        return True

    def _fits(self, size: int) -> bool:
        size += self._bytes
        if size > MAX_SMALL_PAGE_BYTES and size <= MAX_PAGE_BYTES and self.permit is None:
            self.permit = LargePagePermit.acquire()
        return size <= (MAX_SMALL_PAGE_BYTES if self.permit is None else MAX_PAGE_BYTES)


async def read_page(
    read: Callable[..., Awaitable[Sequence[R]]],
    encode: Callable[[Sequence[R]], bytes],
    *,
    after: str | None,
    skip: int,
    max_items: int,
) -> Page[R]:
    """Read up to `max_items` records behind `after`, a slice at a time; `encode` makes a JSON array of some."""
    page = Page(max_items, encode)
    missing = max_items + 1  # one more tells whether there is a next page
    while not page.has_more:
        wanted = min(missing, _SLICE)
        # No variable holds the records: they are gone before the next slice is read, or the response is sent.
        if page.fill(await read(after=page.last_id or after, limit=wanted, skip=skip)) < wanted:
            break
        missing -= wanted
        skip = 0
    return page
