"""Read one page of a list in bounded memory, for any size of records and any speed of clients."""

from asyncio import CancelledError, Future, get_running_loop, sleep
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, Protocol, TypeVar
from weakref import WeakSet

MAX_PAGE_BYTES: Final = 1024 * 1024
MAX_SMALL_PAGE_BYTES: Final = 64 * 1024
MAX_LARGE_PAGES: Final = 16
MAX_BYTES_IN_USE: Final = 1024 * 1024
MIN_PAGE_ESTIMATE_BYTES: Final = 32 * 1024

# The default page, and one more record that shows whether a next page exists. Their size decides how many further
# records are read, and encoded, at once.
_FIRST_SLICE: Final = 51
_SLICE_BYTES: Final = 256 * 1024
_BATCH_BYTES: Final = 32 * 1024
_FIRST_RECORD_BYTES: Final = 1024
_WEIGHT_OF_LAST_PAGE: Final = 0.25
_CHUNK_BYTES: Final = 64 * 1024
_MAX_TURNS_WITH_ARRIVALS: Final = 256


class _Record(Protocol):
    """A record with an id, by which pages are ordered."""

    @property
    def id(self) -> str: ...


R = TypeVar("R", bound=_Record)


class LargePagePermit:
    """Allows one page to exceed `MAX_SMALL_PAGE_BYTES`.

    A response releases it once it is sent or its client is gone. The permit of a page without a response is released
    when it is freed.
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

    def release(self) -> None:
        self._in_use.discard(self)


class Page(Generic[R]):
    """The encoded records of one page: as many as fit into its limit of bytes, and at least one."""

    def __init__(self, max_items: int, encode: Callable[[Sequence[R]], bytes]) -> None:
        self._max_items = max_items
        self._encode = encode
        self._count = 0
        self._bytes = 0
        self._chunks: list[bytes] = []
        self._parts: list[bytes | memoryview] = []  # each with a separator before it
        self._parts_bytes = 0
        self.permit: LargePagePermit | None = None
        self.last_id: str | None = None
        self.has_more = False
        """Whether records follow the last one."""

    def take_chunks(self) -> list[bytes]:
        """Return the records as a JSON array in chunks of about 64 KiB."""
        self._parts.append(b"]" if self._count else b"[]")
        self._complete_chunk()
        return self._chunks

    def count_within(self, size: int) -> int:
        """Return how many records fit into a number of bytes, estimated by the average so far; at least one."""
        return max(1, size * self._count // self._bytes) if self._count else 1

    @property
    def record_bytes(self) -> float:
        """The average size of the records, encoded; 0 for an empty page."""
        return self._bytes / max(1, self._count)

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
        part = memoryview(self._encode(records))[1:-1]  # without a copy
        if (self._count or len(records) > 1) and not self._fits(len(part)):
            return False
        if self._parts and self._parts_bytes + len(part) > _CHUNK_BYTES:
            self._complete_chunk()
        self._parts += (b"," if self._count else b"[", part)
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

    def _complete_chunk(self) -> None:
        self._chunks.append(b"".join(self._parts))
        self._parts.clear()
        self._parts_bytes = 0


class PageReader:
    """Reads pages of one kind of record, and bounds the bytes of all pages that are being read and encoded.

    Large pages therefore take turns, in the order of their requests, and the event loop serves other requests in
    between. The size of a page is estimated from recent pages. A page that exceeds the bound has a turn for itself.
    """

    def __init__(self) -> None:
        self._record_bytes: float = _FIRST_RECORD_BYTES
        self._bytes_in_use = 0
        self._arrivals = 0
        self._waiting: Final[deque[tuple[int, Future[int]]]] = deque()

    async def read(
        self,
        read: Callable[..., Awaitable[Sequence[R]]],
        encode: Callable[[Sequence[R]], bytes],
        *,
        after: str | None,
        skip: int,
        max_items: int,
    ) -> Page[R]:
        """Read up to `max_items` records behind `after`, slice by slice; `encode` turns a slice into a JSON array."""
        self._arrivals += 1
        size = 0 if self._waiting else self._take_room(max_items)
        if not size:
            size = await self._wait_for_room(max_items)
        try:
            if size > MAX_SMALL_PAGE_BYTES:
                await self._wait_until_none_arrives()
            page = Page(max_items, encode)
            missing = max_items + 1  # one more shows whether a next page exists
            wanted = min(missing, _FIRST_SLICE)
            while True:
                # No variable keeps the records: they are freed before the next slice is read.
                offered = page.fill(await read(after=page.last_id or after, limit=wanted, skip=skip))
                if offered < wanted or page.has_more:
                    break
                missing -= wanted
                wanted = min(missing, page.count_within(_SLICE_BYTES))
                skip = 0
            self._record_bytes += (page.record_bytes - self._record_bytes) * _WEIGHT_OF_LAST_PAGE
            return page
        finally:
            get_running_loop().call_soon(self._release, size)  # other requests have their turn first

    def _take_room(self, max_items: int) -> int:
        """Return how many bytes are now reserved for a page; 0 if it has to wait."""
        size = max(MIN_PAGE_ESTIMATE_BYTES, int(self._record_bytes * max_items))
        if self._bytes_in_use and self._bytes_in_use + size > MAX_BYTES_IN_USE:
            return 0
        self._bytes_in_use += size
        return size

    async def _wait_for_room(self, max_items: int) -> int:
        room: Future[int] = get_running_loop().create_future()
        self._waiting.append((max_items, room))
        try:
            return await room
        except CancelledError:
            if not room.cancelled():
                self._release(room.result())
            raise

    async def _wait_until_none_arrives(self) -> None:
        """Wait for a turn of the event loop in which no page is requested.

        The event loop accepts one connection per iteration. If pages were read in between, a client that connects
        behind many others would wait for their pages, even for a small response.
        """
        for _ in range(_MAX_TURNS_WITH_ARRIVALS):
            before = self._arrivals
            await sleep(0)
            if self._arrivals == before:
                return

    def _release(self, size: int) -> None:
        self._bytes_in_use -= size
        while self._waiting:
            max_items, room = self._waiting[0]
            if not room.done():  # else its request was cancelled
                reserved = self._take_room(max_items)
                if not reserved:
                    break
                room.set_result(reserved)
            self._waiting.popleft()
