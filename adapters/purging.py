import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Final

from domain.errors import StorageNotPrepared, StorageUnavailable, TooBusy

TASK_NAME: Final = "purge of removed users"
_MIN_PAUSE_SECONDS: Final = 0.005
_FIRST_RETRY_SECONDS: Final = 0.1
_MAX_RETRY_SECONDS: Final = 30.0

_MIN_BATCH: Final = 10
_FIRST_BATCH: Final = 100
_MAX_BATCH: Final = 1_000
_BATCH_SECONDS: Final = 0.02


class BatchSize:
    """The number of records to delete at once: as many as take about 20 ms, up to a thousand.

    Half as many hardly take less time where it is the commit that takes it, as on a slow disk or a busy machine. Then
    there are not fewer, since the purge would only take longer.
    """

    def __init__(self) -> None:
        self.records = _FIRST_BATCH
        self._seconds_before_halving: float | None = None

    def adapt(self, seconds: float) -> None:
        """Choose the next size by how long the last batch took."""
        before = self._seconds_before_halving
        if seconds <= _BATCH_SECONDS or (before is not None and seconds > 0.75 * before):
            self.records = min(2 * self.records, _MAX_BATCH)
            self._seconds_before_halving = None
        else:
            self.records = max(self.records // 2, _MIN_BATCH)
            self._seconds_before_halving = seconds


class BackgroundPurge:
    """Deletes records of removed users in the background, in batches.

    Each pause is at least as long as the previous batch took, so other work gets half of the store's time.
    """

    def __init__(self, purge_batch: Callable[[], Awaitable[bool]], *, pause_factor: int = 1) -> None:
        """`purge_batch` deletes a bounded number of records and returns whether more remain."""
        self._purge_batch = purge_batch
        self._pause_factor = pause_factor
        self._is_wanted = False
        self._is_closed = False
        self._task: asyncio.Task[None] | None = None

    def wake(self) -> None:
        """Purge until nothing remains. Needs a running event loop."""
        self._is_wanted = not self._is_closed
        if self._is_wanted and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._run(), name=TASK_NAME)

    async def close(self) -> None:
        """Stop, possibly within a batch. Safe to repeat."""
        self._is_closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        retry_seconds = _FIRST_RETRY_SECONDS
        while self._is_wanted:
            self._is_wanted = False
            start = monotonic()
            try:
                has_more = await self._purge_batch()
            except StorageNotPrepared:
                return
            except (StorageUnavailable, TooBusy):
                pause, has_more = retry_seconds, True
                retry_seconds = min(2 * retry_seconds, _MAX_RETRY_SECONDS)
            else:
                pause = max(self._pause_factor * (monotonic() - start), _MIN_PAUSE_SECONDS)
                retry_seconds = _FIRST_RETRY_SECONDS
            if self._is_closed:  # a driver may swallow the cancellation
                return
            if has_more:
                self._is_wanted = True
                await asyncio.sleep(pause)
