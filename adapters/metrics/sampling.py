"""Set gauges at intervals: the process that serves the metrics has no storage to ask."""

import asyncio
import fcntl
from typing import Final

from adapters.metrics.metrics import Metrics
from adapters.storage_plugin import PooledStorage
from application.ports import Clock
from domain.errors import DomainError
from domain.jobs import JOBS
from domain.storage import Storage

MAX_JOBS_COUNTED: Final = 1_000

_CONNECTIONS_INTERVAL_SECONDS: Final = 1
_JOBS_INTERVAL_SECONDS: Final = 5


class Sampler:
    """Sets the connection gauges in every process, and the job gauges in one process of several."""

    def __init__(self, store: Storage, storage: Storage, clock: Clock, metrics: Metrics) -> None:
        """`store` may have connections; `storage` is the same one inside its decorators."""
        self._store: Final = store
        self._storage: Final = storage
        self._clock: Final = clock
        self._metrics: Final = metrics

    async def run(self) -> None:
        """Set gauges until cancelled."""
        await asyncio.gather(self._sample_connections(), self._sample_jobs())

    async def _sample_connections(self) -> None:
        while isinstance(self._store, PooledStorage):
            idle = getattr(self._store, "connections_idle", None)
            states = {} if idle is None else {"idle": idle}
            self._metrics.set_connections(used=self._store.connections_in_use, **states)
            await asyncio.sleep(_CONNECTIONS_INTERVAL_SECONDS)

    async def _sample_jobs(self) -> None:
        with (self._metrics.directory / "jobs.lock").open("w") as lock:
            while True:
                if _acquire(lock.fileno()):
                    await self._sample_due_jobs()
                await asyncio.sleep(_JOBS_INTERVAL_SECONDS)

    async def _sample_due_jobs(self) -> None:
        now = self._clock.now()
        try:
            due = await self._storage.unit_of_work().records(JOBS).due(now, limit=MAX_JOBS_COUNTED)
        except DomainError:
            return  # the metrics of the storage show it
        waiting = [job.due_at for job in due if not job.failed]
        self._metrics.set_due_jobs(len(waiting), (now - waiting[0]).total_seconds() if waiting else 0.0)


def _acquire(lock: int) -> bool:
    """Return whether this process has a lock, which the system releases when the process ends."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
