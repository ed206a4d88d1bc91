"""Read one page of a list in bounded memory, for any size of records and any speed of clients."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, Protocol, TypeVar
from weakref import WeakSet

MAX_PAGE_BYTES: Final = 1024 * 1024
MAX_SMALL_PAGE_BYTES: Final = 64 * 1024
MAX_LARGE_PAGES: Final = 16

# The default page, and one more record that shows whether a next page exists. Their size decides how many further
# records are read, and encoded, at once.
_FIRST_SLICE: Final = 51
_SLICE_BYTES: Final = 256 * 1024
_BATCH_BYTES: Final = 32 * 1024
_CHUNK_BYTES: Final = 64 * 1024


class _Record(Protocol):
    """A record with an id, by which pages are ordered."""

    @property
    def id(self) -> str: ...


R = TypeVar("R", bound=_Record)


class LargePagePermit:
    """Allows one page to exceed `MAX_SMALL_PAGE_BYTES`, as long as the permit is referenced.

    A response holds it until it is sent or dropped; garbage collection releases it.
    """

    _in_use: Final[WeakSet["LargePagePermit"]] = WeakSet()

    @classmethod
    def acquire(cls) -> "LargePagePermit | None":
        """Return one of the process's `MAX_LARGE_PAGES` permits; None if all are in use."""
        if len(cls._in_use) >= MAX_LARGE_PAGES:
            return None
        permit = cls()
        cls._in_use.add(permit)
        return permit


class Page(Generic[R]):
    """The encoded records of one page: as many as fit into its limit of bytes, and at least one."""

    def __init__(self, max_items: int, encode: Callable[[Sequence[R]], bytes]) -> None:
        self._max_items = max_items
        self._encode = encode
        self._count = 0
        self._bytes = 0
        self._chunks: list[bytes] = []
        self._parts: list[bytes] = []
        self._parts_bytes = 0
        self.permit: LargePagePermit | None = None
        self.last_id: str | None = None
        self.has_more = False
        """Whether records follow the last one."""

    def take_chunks(self) -> list[bytes]:
        """Return the records as a JSON array in chunks of about 64 KiB."""
        self._complete_chunk(b"]")
        return self._chunks

    def count_within(self, size: int) -> int:
        """Return how many records fit into a number of bytes, estimated by the average so far; at least one."""
        return max(1, size * self._count // self._bytes) if self._count else 1

    def fill(self, records: Sequence[R]) -> int:
        """Add as many of the records as fit; return how many records were offered."""
        begin = 0
        while begin < len(records) and not self.has_more:
            room = self._max_items - self._count
            batch = records[begin : begin + min(room, self.count_within(_BATCH_BYTES))]
            begin += len(batch)
            # Encode records one by one if they are larger than the average.
            fits = self._add(batch) or all(self._add((record,)) for record in batch)
            self.has_more = room == 0 or not fits
        return len(records)

    def _add(self, records: Sequence[R]) -> bool:
        if not records:
            return True
        part = self._encode(records)[1:-1]
        if (self._count or len(records) > 1) and not self._fits(len(part)):
            return False
        if self._parts and self._parts_bytes + len(part) > _CHUNK_BYTES:
            self._complete_chunk()
        self._parts.append(part)
        self._parts_bytes += len(part) + len(b",")
        self._bytes += len(part) + len(b",")
        self._count += len(records)
        self.last_id = records[-1].id
        return True

    def _fits(self, size: int) -> bool:
        size += self._bytes + len(b"[]")
        if size > MAX_SMALL_PAGE_BYTES and size <= MAX_PAGE_BYTES and self.permit is None:
            self.permit = LargePagePermit.acquire()
        return size <= (MAX_SMALL_PAGE_BYTES if self.permit is None else MAX_PAGE_BYTES)

    def _complete_chunk(self, end: bytes = b"") -> None:
        start = b"," if self._chunks else b"["
        self._chunks.append(b"%b%b%b" % (start, b",".join(self._parts), end))
        self._parts.clear()
        self._parts_bytes = 0


async def read_page(
    read: Callable[..., Awaitable[Sequence[R]]],
    encode: Callable[[Sequence[R]], bytes],
    *,
    after: str | None,
    skip: int,
    max_items: int,
) -> Page[R]:
    """Read up to `max_items` records behind `after`, slice by slice; `encode` turns a slice into a JSON array."""
    page = Page(max_items, encode)
    missing = max_items + 1  # one more shows whether a next page exists
    wanted = min(missing, _FIRST_SLICE)
    # No variable keeps the records: they are freed before the next slice is read, and before the response is sent.
    while page.fill(await read(after=page.last_id or after, limit=wanted, skip=skip)) == wanted and not page.has_more:
        missing -= wanted
        wanted = min(missing, page.count_within(_SLICE_BYTES))
        skip = 0
    return page
