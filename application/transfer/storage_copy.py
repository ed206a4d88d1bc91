"""Copy everything from one storage to another."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Final, TypeAlias

from application.transfer.all_records import Stored, all_records, position_of, record_type_of
from application.transfer.record_digest import RecordDigest
from domain.errors import DomainError, StorageNotPrepared, StorageUnavailable, TooBusy
from domain.storage import Storage
from domain.user import User

Advance: TypeAlias = Callable[[int], None]
"""Takes the number of users processed so far."""

_RECORDS_IN_A_COMMIT: Final = 500
_MAX_ATTEMPTS: Final = 60
_SECONDS_BETWEEN_ATTEMPTS: Final = 1.0


class CopyFailed(Exception):
    """The copy is impossible or differs from its source. The text says what was found and what to do."""


class StorageCopy:
    """A copy of all users and records, with their versions and times.

    After an interruption, run it again: it copies what the target lacks. Neither storage may be written to during a
    copy. If one is, the copy fails, at the latest when it is verified, and the target's own data remain unchanged.
    """

    def __init__(self, source: Storage, target: Storage) -> None:
        self._source = source
        self._target = target
        self.read = RecordDigest()
        """What was read from the source so far."""

        self.found = 0
        """How many of the records the target already held."""

    async def run(self, advance: Advance) -> None:
        """Copy everything that the target lacks. Raise `CopyFailed`, and what the storage port raises.

        When the target holds any other data, nothing is written.
        """
        if await self._target.unit_of_work().users.page(limit=1):
            async with aclosing(self._missing()) as missing:  # compare everything before the first write
                async for _ in missing:
                    pass
            self.read, self.found = RecordDigest(), 0
        staged: list[Stored] = []
        async with aclosing(self._missing(advance)) as missing:
            async for record in missing:
                staged.append(record)
                if len(staged) == _RECORDS_IN_A_COMMIT:
                    await self._commit(staged)
                    staged.clear()
        await self._commit(staged)

    async def _missing(self, advance: Advance | None = None) -> AsyncGenerator[Stored, None]:
        """Iterate over what the target lacks. Raise `CopyFailed` when it holds something that the source lacks."""
        async with aclosing(all_records(self._source)) as source, aclosing(all_records(self._target)) as target:
            held = await anext(target, None)
            async for record in source:
                self.read.add(record)
                if advance:
                    advance(self.read.users)
                if held is None or position_of(record) < position_of(held):
                    yield record
                elif record == held:
                    self.found += 1
                    held = await anext(target, None)
                else:
                    break
            if held is not None:
                raise CopyFailed(
                    f"the target holds other data: {_named(held)} is not what the source has in its place. "
                    "Nothing was written; copy into an empty storage"
                )

    async def verify(self, advance: Advance) -> None:
        """Read the target back and compare it with what was read from the source. Raise `CopyFailed`."""
        held = RecordDigest()
        async with aclosing(all_records(self._target)) as target:
            async for record in target:
                held.add(record)
                advance(held.users)
        if held.digest != self.read.digest:
            raise CopyFailed(
                f"the target holds {held}, the source {self.read}, and their digests differ: "
                "stop all writers, and copy again into an empty storage"
            )
        if await self._source.unit_of_work().users.count() != self.read.users:
            raise CopyFailed("the source was written to during the copy: stop all writers, and run the copy again")

    async def _commit(self, records: Sequence[Stored]) -> None:
        attempts = 1
        while True:
            try:
                return await self._commit_once(records)
            except TooBusy:
                # A store may still be purging after a run that was killed.
                if attempts == _MAX_ATTEMPTS:
                    raise
            except (StorageUnavailable, StorageNotPrepared):
                raise
            except DomainError as error:
                raise CopyFailed(
                    f"another process writes to the target ({error}): stop it, and copy into an empty storage"
                ) from error
            attempts += 1
            await asyncio.sleep(_SECONDS_BETWEEN_ATTEMPTS)

    async def _commit_once(self, records: Sequence[Stored]) -> None:
        unit = self._target.unit_of_work()
        for record in records:
            if isinstance(record, User):
                unit.users.add(record)
            else:
                unit.records(record_type_of(record)).add(record)
        await unit.commit()


def _named(record: Stored) -> str:
    if isinstance(record, User):
        return f"user {record.id}"
    record_type = record_type_of(record)
    return f"the record {record_type.key_of(record)} of {record_type.name}"
