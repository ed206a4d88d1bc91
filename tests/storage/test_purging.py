"""The background task that deletes the records of removed users."""

import asyncio
from contextlib import suppress

from adapters.purging import BackgroundPurge, BatchSize

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


def test_a_batch_has_as_many_records_as_take_little_time() -> None:
    size = BatchSize()
    sizes = [adapted(size, seconds_for_each=0.001) for _ in range(20)]
    assert set(sizes[-4:]) <= {12, 24}
    assert [adapted(size, seconds_for_each=0.000_001) for _ in range(20)][-1] == 1_000
    assert [adapted(size, seconds_for_each=1) for _ in range(20)][-1] == 10


def test_a_batch_has_not_ever_fewer_records_where_that_saves_no_time() -> None:
    size = BatchSize()
    assert min(adapted(size, seconds_for_each=0.000_01, seconds_for_all=0.2) for _ in range(20)) >= 50


def adapted(size: BatchSize, *, seconds_for_each: float, seconds_for_all: float = 0) -> int:
    """Return the size after a batch that took so long."""
    size.adapt(seconds_for_all + seconds_for_each * size.records)
    return size.records
