"""Taking all users out."""

from collections.abc import AsyncIterator, Sequence
from typing import Final

from application.many_credentials import credentials_of
from domain.credential import CREDENTIALS, Credential
from domain.storage import Storage
from domain.user import User

_AT_ONCE: Final = 1_000


class UserExport:
    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def batches(self) -> AsyncIterator[Sequence[User]]:
        """Go through all users by creation, a batch at a time; see `UserRepository.page`.

        Each user who is there all the while comes exactly once, whatever is written meanwhile. Raises what the
        storage port raises.
        """
        users = self._storage.unit_of_work().users
        batch = await users.page(limit=_AT_ONCE)
        while batch:
            yield batch
            batch = await users.page(after=batch[-1].id, limit=_AT_ONCE)

    async def batches_with_credentials(self) -> AsyncIterator[Sequence[tuple[User, Credential | None]]]:
        """Go through all users in the same way, each with their credential, if they have one."""
        credentials = self._storage.unit_of_work().records(CREDENTIALS)
        async for users in self.batches():
            yield list(zip(users, await credentials_of(users, credentials), strict=True))
