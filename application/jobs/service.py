from collections.abc import AsyncIterator, Collection, Sequence
from functools import partial
from typing import Final

from application.concurrency import OptimisticRetry
from application.ports import Clock
from domain.jobs import JOBS, Job
from domain.storage import Storage
from domain.values import JobId

_BATCH_SIZE: Final = 200


class JobService:
    """Lists and restarts jobs for operators. Every method may raise what the storage port raises."""

    def __init__(self, storage: Storage, clock: Clock) -> None:
        self._storage = storage
        self._clock = clock
        self._retry = OptimisticRetry()

    async def batches(self, *, failed_only: bool = False) -> AsyncIterator[Sequence[Job]]:
        """Iterate over all jobs in creation order, or over the failed ones, in batches."""
        jobs = self._storage.unit_of_work().records(JOBS)
        batch = await jobs.page(limit=_BATCH_SIZE)
        while batch:
            yield [job for job in batch if job.failed or not failed_only]
            batch = await jobs.page(after=batch[-1].id, limit=_BATCH_SIZE)

    async def restart(self, job_ids: Collection[JobId]) -> Collection[JobId]:
        """Make failed jobs due now, with all their attempts; return the ids of those that had failed."""
        return [job_id for job_id in job_ids if await self._retry.run(job_id, partial(self._restart, job_id))]

    async def restart_all(self) -> int:
        """Make all failed jobs due now; return their number."""
        restarted = 0
        async for failed in self.batches(failed_only=True):
            restarted += len(await self.restart([job.id for job in failed]))
        return restarted

    async def _restart(self, job_id: JobId) -> bool:
        unit = self._storage.unit_of_work()
        job = await unit.records(JOBS).get(job_id)
        if job is None or not job.failed:
            return False
        unit.records(JOBS).save(job.restart(self._clock.now()))
        await unit.commit()
        return True
