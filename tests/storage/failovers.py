"""Wait until a storage accepts writes again after the loss of a server."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from adapters.storage_contract.examples import a_user
from adapters.storage_contract.steps import add
from domain.errors import StorageUnavailable, TooBusy
from domain.storage import Storage
from domain.user import User

T = TypeVar("T")

TIMEOUT_SECONDS: Final = 60


async def added_at_last(storage: Storage) -> User:
    """Add users until one is accepted, and return that one."""

    async def added() -> User:
        user = a_user()
        await add(storage, user)
        return user

    return await succeeded_at_last(added)


async def succeeded_at_last(attempt: Callable[[], Awaitable[T]]) -> T:
    """Repeat what the storage refuses for the moment, and return the first result. Other errors are failures."""
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while True:
            try:
                return await attempt()
            except (StorageUnavailable, TooBusy):
                await asyncio.sleep(0.1)


async def added_until(stop: asyncio.Event, storage: Storage) -> list[User]:
    """Add users until the event; return those whose addition succeeded. Other errors are failures."""
    added = []
    while not stop.is_set():
        user = a_user()
        try:
            await add(storage, user)
        except (StorageUnavailable, TooBusy):
            await asyncio.sleep(0.05)
        else:
            added.append(user)
    return added
