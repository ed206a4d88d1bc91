"""Read everything that a storage holds."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any, Final, TypeAlias

from domain.record_types import RECORD_TYPES
from domain.records import RecordType, Versioned
from domain.storage import Storage
from domain.user import User

Stored: TypeAlias = User | Versioned
"""A user, or a record of one of `RECORD_TYPES`."""

_BATCH_SIZE: Final = 200  # at most 50 MB, given the maximum record size
_TYPES: Final = {record_type.entity: record_type for record_type in RECORD_TYPES}


def record_type_of(record: Versioned) -> RecordType[Any]:
    """Return the declared type of a record."""
    return _TYPES[type(record)]


def position_of(record: Stored) -> tuple[int, str]:
    """Return a sort key with the order of `all_records`."""
    if isinstance(record, User):
        return -1, record.id
    record_type = record_type_of(record)
    return RECORD_TYPES.index(record_type), record_type.key_of(record)


async def all_records(storage: Storage) -> AsyncGenerator[Stored, None]:
    """Iterate over all users by id, then over the records of each type by key: owners come first.

    Uses bounded memory, and reads one batch ahead. Raises what the storage port raises.
    """
    async with aclosing(_read_ahead(_batches(storage))) as batches:
        async for batch in batches:
            for record in batch:
                yield record


async def _batches(storage: Storage) -> AsyncIterator[Sequence[Stored]]:
    unit = storage.unit_of_work()
    users = await unit.users.page(limit=_BATCH_SIZE)
    while users:
        yield users
        users = await unit.users.page(after=users[-1].id, limit=_BATCH_SIZE)
    for record_type in RECORD_TYPES:
        records = await unit.records(record_type).page(limit=_BATCH_SIZE)
        while records:
            yield records
            after = record_type.key_of(records[-1])
            records = await unit.records(record_type).page(after=after, limit=_BATCH_SIZE)


async def _read_ahead(batches: AsyncIterator[Sequence[Stored]]) -> AsyncGenerator[Sequence[Stored], None]:
    following = asyncio.ensure_future(anext(batches, None))
    try:
        while (batch := await following) is not None:
            following = asyncio.ensure_future(anext(batches, None))
            yield batch
    finally:
        following.cancel()
        await asyncio.wait([following])
