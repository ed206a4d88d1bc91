import asyncio
from typing import Final

from domain.jobs import JOBS, Job
from domain.storage import UnitOfWork


class JobQueue:
    """Stages jobs, and wakes the worker of this process."""

    def __init__(self) -> None:
        self.staged: Final = asyncio.Event()
        """Set when a job may be in the storage soon."""

    def stage(self, unit: UnitOfWork, job: Job) -> None:
        unit.records(JOBS).add(job)
        self.staged.set()
