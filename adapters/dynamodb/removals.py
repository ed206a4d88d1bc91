"""The purge of records of removed users, which may exceed one transaction.

A removal commits a tombstone in place of the user, with the id of that commit as `purging`, and an entry in the
removals. From then on the records are invisible. They are deleted in batches, except those of that very commit (which
may have added the user again), and finally the tombstone. A few records are deleted at once, more in the background. If
the process dies, the next one resumes.
"""

import asyncio
import random
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain
from typing import Any, Final, TypeAlias

from adapters.dynamodb.actions import NO_INTENT, Action, Expression, fits_in_one, still
from adapters.dynamodb.failures import ConditionCheckFailed
from adapters.dynamodb.intents import WriteIntents
from adapters.dynamodb.items import (
    INDEX_ATTRIBUTES,
    REMOVALS,
    Image,
    Key,
    RecordRef,
    is_user,
    owned_partition,
    part_keys,
    removal_key,
    user_key,
)
from adapters.dynamodb.table import Range, Table
from adapters.purging import BackgroundPurge
from adapters.resilience import gather_bounded
from domain.errors import DomainError, TooBusy
from domain.records import RecordType

_BATCH: Final = 200  # records of each type
_RESUME_DELAY_SECONDS: Final = 1
"""A process that has just started does its own work first."""

_Found: TypeAlias = tuple[RecordRef, Image]


class UserRemovals:
    def __init__(self, table: Table, intents: WriteIntents, record_types: Sequence[RecordType[Any]]) -> None:
        self._table = table
        self._intents = intents
        self._owned = [record_type for record_type in record_types if record_type.owner is not None]
        self._background = BackgroundPurge(self._purge_batch)
        self._has_resumed = False

    def resume(self) -> None:
        """Resume in the background what other processes may have left."""
        if not self._has_resumed:
            self._has_resumed = True
            asyncio.get_running_loop().call_later(_RESUME_DELAY_SECONDS, self._background.wake)

    async def begin(self, user_id: str) -> None:
        """Delete what a removed user owned: a little at once, more in the background."""
        with suppress(DomainError):  # the removal itself is committed
            if await self.purge(user_id, or_nothing=True):
                return
        self._background.wake()

    async def purge(self, user_id: str, *, or_nothing: bool = False) -> bool:
        """Delete a batch of what an earlier user with this id owned; return whether nothing is left.

        With `or_nothing`, delete nothing if there is more than a batch.
        """
        key = user_key(user_id)
        user = (await self._table.read([key])).get(key)
        if user is None or "purging" not in user:
            return True
        if "tx" in user:
            await self._intents.settle_if_due(key, user)
            return False
        found = await gather_bounded(
            partial(self._some_owned, record_type, user_id, user["purging"]) for record_type in self._owned
        )
        is_rest = all(len(records) < _BATCH for records in found)
        if or_nothing and not is_rest:
            return False
        is_deleted = await self._delete([record for records in found for record in records])
        return is_rest and is_deleted and await self._close(user_id, user)

    async def close(self) -> None:
        await self._background.close()

    async def _purge_batch(self) -> bool:
        entries, _ = await self._table.query(Range(REMOVALS), limit=_BATCH)
        if not entries:
            return False
        key, entry = random.choice(entries)  # noqa: S311 - several processes shall not all delete the same
        if "tx" in entry:
            await self._intents.settle_if_due(key, entry)
            raise TooBusy
        await self.purge(key.sk)
        return True

    async def _some_owned(self, record_type: RecordType[Any], user_id: str, purging: str) -> Sequence[_Found]:
        """Return some records of an earlier user, without those that the commit `purging` has written."""
        found: list[_Found] = []
        start: Key | None = None
        while len(found) < _BATCH:
            images, start = await self._table.query(
                Range(owned_partition(record_type, user_id)), only=INDEX_ATTRIBUTES, limit=_BATCH, start=start
            )
            earlier = ((key, image) for key, image in images if image.get("rev") != purging or "tx" in image)
            found += ((RecordRef(record_type, user_id, key.sk), image) for key, image in earlier)
            if start is None:
                break
        return found[:_BATCH]

    async def _delete(self, found: Sequence[_Found]) -> bool:
        """Delete records and all items that point to them; return whether no write intent interfered."""
        is_free = True
        for records in _transactions(found):
            while records:
                try:
                    await self._table.transact(list(chain(*records.values())))
                    break
                except ConditionCheckFailed as refused:
                    for key, image in refused.found.items():
                        del records[key]  # its index items may point to another record by now
                        if image and "tx" in image:
                            is_free = False
                            await self._intents.settle_if_due(key, image)
        return is_free

    async def _close(self, user_id: str, user: Image) -> bool:
        key = user_key(user_id)
        same = Expression(f"#purging = :purging AND {NO_INTENT.text}", {"purging": user["purging"]})
        if is_user(user):
            closing = Action("Update", key, same, change=Expression("REMOVE #purging"))
        else:
            closing = Action("Delete", key, same)
        try:
            await self._table.transact([closing, Action("Delete", removal_key(user_id))])
        except ConditionCheckFailed:
            return False
        return True


def _transactions(found: Iterable[_Found]) -> Iterator[dict[Key, Sequence[Action]]]:
    """Group deletions into transactions in which only the records themselves have conditions."""
    records: dict[Key, Sequence[Action]] = {}
    for ref, image in found:
        others = (*ref.index(image), *part_keys(ref.item_key, image), ref.pointer_key)
        deletions = [Action("Delete", ref.item_key, still(image)), *(Action("Delete", key) for key in others)]
        if not fits_in_one([*chain(*records.values()), *deletions]):
            yield records
            records = {}
        records[ref.item_key] = deletions
    yield records
