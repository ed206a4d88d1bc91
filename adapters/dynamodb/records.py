"""The records of one type. Records of a removed user may still be in the table, but are invisible."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from operator import itemgetter
from typing import Any, Final, Generic, TypeVar

from adapters.dynamodb import record_rules
from adapters.dynamodb.commits import Write
from adapters.dynamodb.items import Image, Key
from adapters.dynamodb.reader import Reader
from adapters.dynamodb.record_items import RecordItems, RecordRef, time_text
from adapters.dynamodb.table import Range
from adapters.dynamodb.user_items import REMOVALS, is_user, owns, user_key
from domain.errors import TooBusy
from domain.records import MAX_KEY_BYTES, R
from domain.values import UserId

T = TypeVar("T")

_MAX_READ_ATTEMPTS: Final = 10
_MAX_ITEMS_AT_ONCE: Final = 1_000


class DynamoDBRecords(Generic[R]):
    def __init__(self, items: RecordItems[R], reader: Reader, staged: list[Write]) -> None:
        self._items = items
        self._reader = reader
        self._staged = staged

    async def get(self, key: str) -> R | None:
        record_type = self._items.record_type
        if not _can_be_key(key):
            return None
        if record_type.owner == record_type.key:
            found = await self._visible([RecordRef(record_type, key, key)], set())
            return self._items.restored(found[key]) if found else None
        if record_type.owner is None:
            image = await self._reader.get(RecordRef(record_type, None, key).item_key)
            return None if image is None else self._items.restored(image)
        return await self._followed(RecordRef(record_type, None, key).pointer_key, lambda _: True)

    async def find(self, field: str, value: str) -> R | None:
        if not _can_be_key(value):
            return None
        (index_key,) = RecordRef(self._items.record_type, None, "").unique_keys({"unique": {field: value}})
        return await self._followed(index_key, lambda image: image.get("unique", {}).get(field) == value)

    async def page(
        self,
        *,
        owner: UserId | None = None,
        after: str | None = None,
        limit: int,
        descending: bool = False,
        skip: int = 0,
    ) -> Sequence[R]:
        enough = skip + limit
        if owner is None:
            found = await self._walk(replace(self._items.all, after=after, descending=descending), enough)
        else:
            within = replace(self._items.owned_by(owner), after=after, descending=descending)

            async def look(purging: str | None) -> Sequence[Image]:
                found = await self._reader.query_first(within, enough, lambda image: purging in {None, image["rev"]})
                return [image for _, image in found]

            found = await self._of_owner(owner, look) or []
        return list(map(self._items.restored, found[skip:enough]))

    async def count(self, *, owner: UserId | None = None) -> int:
        if owner is not None:
            return await self._of_owner(owner, partial(self._count_owned, owner)) or 0
        for _ in range(_MAX_READ_ATTEMPTS):
            removed = await self._removed_owners()
            if removed:
                pointers = await self._reader.query_all(self._items.all, ["owner"])
                total = sum(pointer["owner"] not in removed for _, pointer in pointers)
                for removed_owner in removed:  # that user may have been added again
                    total += await self.count(owner=UserId(removed_owner))
            else:
                total = await self._reader.count(self._items.all)
            if await self._removed_owners() <= removed:
                return total
        raise TooBusy

    async def due(self, moment: datetime, *, limit: int) -> Sequence[R]:
        found = await self._walk(self._items.due_until(moment), limit)
        last = time_text(moment)
        due = [image for image in found if "due" in image and image["due"] <= last]
        return list(map(self._items.restored, sorted(due, key=itemgetter("due"))))

    def add(self, record: R) -> None:
        self._stage(record_rules.add_record, record, image=self._items.image(record))

    def save(self, record: R) -> None:
        self._stage(record_rules.save_record, record, image=self._items.image(record))

    def remove(self, record: R) -> None:
        self._stage(record_rules.remove_record, record, version=record.version)

    def require(self, record: R) -> None:
        self._stage(record_rules.require_record, record, version=record.version)

    def _stage(self, rule: Callable[..., None], record: R, **arguments: Any) -> None:
        self._staged.append(partial(rule, ref=self._items.ref(record), **arguments))

    async def _followed(self, index_key: Key, fits: Callable[[Image], bool]) -> R | None:
        """Return the record that an index item points to; repeat if the item changes during the read."""
        before: Image | None = None
        for _ in range(_MAX_READ_ATTEMPTS):
            index = await self._reader.get(index_key)
            if index is None or index == before:
                return None
            for image in (await self._visible([self._items.indexed(index)], set())).values():
                if fits(image):
                    return self._items.restored(image)
            before = index
        raise TooBusy

    async def _walk(self, within: Range, enough: int) -> Sequence[Image]:
        """Return the first records of a range whose items are records or point to them."""
        found: dict[str, Image] = {}
        removed: set[Key] = set()
        number = enough
        while len(found) < enough:
            batch = await self._reader.query_first(within, number)
            refs = [self._items.indexed(image) for _, image in batch if "key" in image]
            records = await self._visible(refs, removed) if refs else {key.sk: image for key, image in batch}
            found |= records
            if len(batch) < number:
                break
            within = replace(within, after=batch[-1][0].sk)
            number = enough - len(found) if records else min(2 * number, _MAX_ITEMS_AT_ONCE)
        return list(found.values())[:enough]

    async def _visible(self, refs: Sequence[RecordRef], removed: set[Key]) -> dict[str, Image]:
        """Return records by key, without those of removed users, whose ids are added to `removed`."""
        refs = [ref for ref in refs if ref.owner_key not in removed]
        owners = {ref.owner_key for ref in refs if ref.owner_key is not None}
        images = await self._reader.get_many([*(ref.item_key for ref in refs), *owners])
        removed |= {owner for owner in owners if not is_user(images.get(owner))}
        found = ((ref, images[ref.item_key]) for ref in refs if ref.item_key in images)
        return {
            ref.key: image for ref, image in found if ref.owner_key is None or owns(images.get(ref.owner_key), image)
        }

    async def _of_owner(self, owner: str, look: Callable[[str | None], Awaitable[T]]) -> T | None:
        """Read the records of a user, and only then the user, who may be removed during the read.

        `look` gets the only commit whose writes still belong to the user, or None if everything does.
        """
        purging: str | None = None
        for _ in range(_MAX_READ_ATTEMPTS):
            found = await look(purging)
            user = await self._reader.get(user_key(owner))
            if user is None or not is_user(user):
                return None
            if user.get("purging") == purging:
                return found
            purging = user.get("purging")
        raise TooBusy

    async def _count_owned(self, owner: str, purging: str | None) -> int:
        within = self._items.owned_by(owner)
        if purging is None:
            return await self._reader.count(within)
        return sum(image["rev"] == purging for _, image in await self._reader.query_all(within, ["rev"]))

    async def _removed_owners(self) -> set[str]:
        """Return the users whose records are being purged."""
        entries = await self._reader.query_all(Range(REMOVALS), ["owner"]) if self._items.record_type.owner else ()
        return {key.sk for key, _ in entries}


def _can_be_key(text: str) -> bool:
    """Return whether DynamoDB accepts a text as a sort key."""
    return 0 < len(text.encode(errors="replace")) <= MAX_KEY_BYTES
