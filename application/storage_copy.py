"""Moving everything from one storage to another."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import Final, TypeAlias

from application.all_records import Record, all_records
from application.inventory import Inventory
from domain.credential import Credential
from domain.errors import EmailTaken, IdTaken, TooBusy, UsernameTaken, UserNotFound
from domain.post import Post
from domain.session import Session
from domain.storage import Storage
from domain.user import User

Advance: TypeAlias = Callable[[int], None]
"""Takes the number of users dealt with so far."""

_RECORDS_IN_A_COMMIT: Final = 500
_MOST_ATTEMPTS: Final = 60
_SECONDS_BETWEEN_ATTEMPTS: Final = 1.0


class CopyFailed(Exception):
    """The copy cannot be made, or is none. The text is a sentence that says what was found and what to do."""


class StorageCopy:
    """A copy of all users, credentials, sessions and posts, with their versions and times.

    Sign-in failures stay behind, for they say nothing any more after a minute.

    Records are committed in one order, so whatever ends a run, the target then holds a beginning of the copy, and the
    next run goes on behind it. Nobody else should write to either storage meanwhile; if somebody does, the copy
    fails, here or when it is verified, and the target's own data are left as they are.
    """

    def __init__(self, source: Storage, target: Storage) -> None:
        self._source = source
        self._target = target
        self.read = Inventory()
        """What was read from the source so far."""

        self.found = 0
        """How many records the target held before."""

    async def run(self, advance: Advance) -> None:
        """Copy whatever the target does not hold yet. Raises `CopyFailed`, and what the storage port raises."""
        async with aclosing(all_records(self._source)) as source:
            async with aclosing(all_records(self._target)) as target:
                async for there in target:
                    if there != await anext(source, None):
                        raise CopyFailed(
                            f"the target holds other data: {_named(there)} is not what the source has in its place. "
                            "Nothing was written; copy into an empty storage"
                        )
                    self._enter(there, advance)
            self.found = self.read.records
            staged: list[Record] = []
            async for record in source:
                self._enter(record, advance)
                staged.append(record)
                if len(staged) == _RECORDS_IN_A_COMMIT:
                    await self._commit(staged)
                    staged.clear()
            await self._commit(staged)

    async def verify(self, advance: Advance) -> None:
        """Read the target anew and hold it against what was read from the source; raises `CopyFailed`."""
        held = Inventory()
        async with aclosing(all_records(self._target)) as target:
            async for record in target:
                held.enter(record)
                advance(held.users)
        if held.digest != self.read.digest:
            raise CopyFailed(
                f"the target holds {held}, the source {self.read}, and their digests differ: "
                "let nobody write to them, and copy again into an empty storage"
            )
        if await self._source.unit_of_work().users.count() != self.read.users:
            raise CopyFailed("the source was written to meanwhile: let nobody do so, and run the copy again")

    def _enter(self, record: Record, advance: Advance) -> None:
        self.read.enter(record)
        advance(self.read.users)

    async def _commit(self, records: Sequence[Record]) -> None:
        attempts = 1
        while True:
            try:
                return await self._commit_once(records)
            except TooBusy:
                # A store may still be tidying up behind a run that was killed.
                if attempts == _MOST_ATTEMPTS:
                    raise
            except (EmailTaken, UsernameTaken, IdTaken, UserNotFound) as error:
                raise CopyFailed(
                    f"somebody else writes to the target ({error}): stop them, and copy into an empty storage"
                ) from error
            attempts += 1
            await asyncio.sleep(_SECONDS_BETWEEN_ATTEMPTS)

    async def _commit_once(self, records: Sequence[Record]) -> None:
        unit = self._target.unit_of_work()
        # Kind by kind, since stores write runs of one kind faster; a commit is all or nothing in any case.
        for user in (record for record in records if isinstance(record, User)):
            unit.users.add(user)
        for credential in (record for record in records if isinstance(record, Credential)):
            unit.credentials.put(credential)
        for session in (record for record in records if isinstance(record, Session)):
            unit.sessions.add(session)
        for post in (record for record in records if isinstance(record, Post)):
            unit.posts.add(post)
        await unit.commit()


def _named(record: Record) -> str:
    match record:
        case User():
            return f"user {record.id}"
        case Credential():
            return f"the credential of user {record.user_id}"
        case Session():
            return f"session {record.id}"
        case Post():
            return f"post {record.id}"
