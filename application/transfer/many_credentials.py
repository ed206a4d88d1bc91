"""Read the credentials of many users."""

import asyncio
from collections.abc import Sequence
from typing import Final

from domain.credential import Credential
from domain.storage import Records
from domain.user import User

_MAX_CONCURRENT_READS: Final = 8  # fewer than a storage's connections, so none has to wait


async def credentials_of(users: Sequence[User], credentials: Records[Credential]) -> Sequence[Credential | None]:
    """Return each user's credential, in order, with a few reads at a time. Raises what the storage port raises."""
    semaphore = asyncio.Semaphore(_MAX_CONCURRENT_READS)

    async def read(user: User) -> Credential | None:
        async with semaphore:
            return await credentials.get(user.id)

    try:
        # A task group cancels the remaining reads as soon as one finds the server unreachable.
        async with asyncio.TaskGroup() as group:
            reads = [group.create_task(read(user)) for user in users]
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return [done.result() for done in reads]
