"""The background task that deletes the records of removed users."""

import asyncio
from contextlib import suppress

from adapters.purging import BackgroundPurge

TIMEOUT_SECONDS = 5


async def test_a_purge_ends_though_a_driver_swallows_its_cancellation() -> None:
    begun = asyncio.Event()

    async def purge_batch() -> bool:
        begun.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return True

    purge = BackgroundPurge(purge_batch)
    purge.wake()
    await begun.wait()
    async with asyncio.timeout(TIMEOUT_SECONDS):
        await purge.close()
