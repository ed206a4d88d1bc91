from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Final, TypeVar

from adapters.dynamodb.actions import Expression
from adapters.dynamodb.intents import WriteIntents, next_image, previous_image
from adapters.dynamodb.items import Image, Key, part_keys
from adapters.dynamodb.table import Range, Table
from domain.errors import TooBusy

T = TypeVar("T")

_MAX_READ_ATTEMPTS: Final = 20
_INTENT: Final = ("tx", "next")
_PLAIN: Final = Expression("attribute_not_exists(#tx) AND attribute_not_exists(#purging)")


class ReadRestart(Exception):
    """The items read are not from one moment: a commit was decided, or a record replaced, during the read."""


class _Snapshot:
    """Resolves the write intents among the items of one read: it contains each commit entirely or not at all."""

    def __init__(self, intents: WriteIntents, committed: set[str]) -> None:
        self._intents = intents
        self._committed = committed
        self._excluded: set[str] = set()

    async def of(self, items: Iterable[tuple[Key, Image]]) -> list[tuple[Key, Image]]:
        found = list(items)
        met = {image["tx"] for _, image in found if "tx" in image} - self._committed - self._excluded
        if met:
            decisions = await self._intents.decisions(met)
            self._committed |= {tx for tx, committed in decisions.items() if committed}
            self._excluded |= {tx for tx, committed in decisions.items() if not committed}
            if not met <= self._excluded:
                raise ReadRestart
        seen = ((key, self._image(image)) for key, image in found)
        return [(key, image) for key, image in seen if image is not None]

    def _image(self, image: Image) -> Image | None:
        if "tx" not in image:
            return image
        return next_image(image) if image["tx"] in self._committed else previous_image(image)


class Reader:
    """Reads committed data, regardless of running commits."""

    def __init__(self, table: Table, intents: WriteIntents) -> None:
        self._table = table
        self._intents = intents

    async def get(self, key: Key) -> Image | None:
        return (await self.get_many([key])).get(key)

    async def get_many(self, keys: Collection[Key]) -> dict[Key, Image]:
        """Return the items that exist."""

        async def look(snapshot: _Snapshot) -> dict[Key, Image]:
            return dict(await self._resolve(snapshot, (await self._table.read(keys)).items()))

        return await self._read_consistently(look) if keys else {}

    async def query_first(
        self, within: Range, enough: int, wanted: Callable[[Image], bool] = lambda _: True
    ) -> list[tuple[Key, Image]]:
        """Return the first `enough` items of a range that satisfy `wanted`."""

        async def look(snapshot: _Snapshot) -> list[tuple[Key, Image]]:
            found: list[tuple[Key, Image]] = []
            start: Key | None = None
            while len(found) < enough:
                items, start = await self._table.query(within, limit=enough - len(found), start=start)
                found += [(key, image) for key, image in await self._resolve(snapshot, items) if wanted(image)]
                if start is None:
                    break
            return found

        return await self._read_consistently(look)

    async def query_all(self, within: Range, only: Collection[str]) -> list[tuple[Key, Image]]:
        """Return all items of a range, with some of their attributes."""

        async def look(snapshot: _Snapshot) -> list[tuple[Key, Image]]:
            return await snapshot.of(await self._table.query_all(within, only=(*only, "pk", "sk", *_INTENT)))

        return await self._read_consistently(look)

    async def count(self, within: Range) -> int:
        """Return the number of items in a range, without tombstones."""
        counted = await self._table.count(within, _PLAIN)
        if counted is not None:
            return counted
        images = (image for _, image in await self.query_all(within, ("version", "purging")))
        return sum("purging" not in image or "version" in image for image in images)

    async def _resolve(self, snapshot: _Snapshot, items: Iterable[tuple[Key, Image]]) -> list[tuple[Key, Image]]:
        """Resolve write intents, and reassemble bodies that are stored in parts."""
        found = await snapshot.of(items)
        keys = [part_key for key, image in found for part_key in part_keys(key, image)]
        if not keys:
            return found
        parts = dict(await snapshot.of((await self._table.read(keys)).items()))
        if len(parts) < len(keys):
            raise ReadRestart
        return [
            (key, {**image, "body": "".join(parts[part_key]["part"] for part_key in part_keys(key, image))})
            if "parts" in image
            else (key, image)
            for key, image in found
        ]

    async def _read_consistently(self, look: Callable[[_Snapshot], Awaitable[T]]) -> T:
        committed: set[str] = set()
        for _ in range(_MAX_READ_ATTEMPTS):
            try:
                return await look(_Snapshot(self._intents, committed))
            except ReadRestart:
                continue
        raise TooBusy
