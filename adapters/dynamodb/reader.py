from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Final, TypeVar

from adapters.dynamodb.actions import Expression
from adapters.dynamodb.intents import Intents, next_image, previous_image
from adapters.dynamodb.items import Image, Key
from adapters.dynamodb.table import Range, Table
from domain.errors import TooBusy

T = TypeVar("T")

_MOST_LOOKS: Final = 20
_MARKS: Final = ("tx", "next")


class _LookAgain(Exception):
    """A commit was met by its marks that has been decided since, so it may have been seen by halves."""


class _View:
    """What one look at several items makes of their marks: each commit is in it wholly or not at all."""

    def __init__(self, intents: Intents, committed: set[str]) -> None:
        self._intents = intents
        self._committed = committed
        self._left_out: set[str] = set()

    async def of(self, items: Iterable[tuple[Key, Image]]) -> list[tuple[Key, Image]]:
        found = list(items)
        met = {image["tx"] for _, image in found if "tx" in image} - self._committed - self._left_out
        if met:
            decisions = await self._intents.decisions(met)
            self._committed |= {tx for tx, committed in decisions.items() if committed}
            self._left_out |= {tx for tx, committed in decisions.items() if not committed}
            if not met <= self._left_out:
                raise _LookAgain
        seen = ((key, self._image(image)) for key, image in found)
        return [(key, image) for key, image in seen if image is not None]

    def _image(self, image: Image) -> Image | None:
        if "tx" not in image:
            return image
        return next_image(image) if image["tx"] in self._committed else previous_image(image)


class Reader:
    """Reads what is committed, whatever commits are under way."""

    def __init__(self, table: Table, intents: Intents) -> None:
        self._table = table
        self._intents = intents

    async def one(self, key: Key) -> Image | None:
        return (await self.some([key])).get(key)

    async def some(self, keys: Collection[Key]) -> dict[Key, Image]:
        """Read the items that are there."""

        async def look(view: _View) -> dict[Key, Image]:
            return dict(await view.of((await self._table.read(keys)).items()))

        return await self._looked(look) if keys else {}

    async def first(
        self, within: Range, enough: int, wanted: Callable[[Image], bool] = lambda _: True
    ) -> list[tuple[Key, Image]]:
        """Read the first items of a range that are wanted."""

        async def look(view: _View) -> list[tuple[Key, Image]]:
            found: list[tuple[Key, Image]] = []
            start: Key | None = None
            while len(found) < enough:
                items, start = await self._table.query(within, limit=enough - len(found), start=start)
                found += [(key, image) for key, image in await view.of(items) if wanted(image)]
                if start is None:
                    break
            return found

        return await self._looked(look)

    async def all(self, within: Range, only: Collection[str] = ()) -> list[tuple[Key, Image]]:
        """Read all items of a range, or only some of their attributes."""
        names = (*only, "pk", "sk", *_MARKS) if only else ()

        async def look(view: _View) -> list[tuple[Key, Image]]:
            return await view.of(await self._table.query_all(within, only=names))

        return await self._looked(look)

    async def count(self, within: Range) -> int:
        """Count the records of a range, which are what has a version."""
        plain = Expression("attribute_exists(#version) AND attribute_not_exists(#tx)")
        counted = await self._table.count(within, plain)
        if counted is not None:
            return counted
        return sum("version" in image for _, image in await self.all(within, ["version"]))

    async def _looked(self, look: Callable[[_View], Awaitable[T]]) -> T:
        committed: set[str] = set()
        for _ in range(_MOST_LOOKS):
            try:
                return await look(_View(self._intents, committed))
            except _LookAgain:
                continue
        raise TooBusy
