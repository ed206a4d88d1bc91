from collections.abc import Callable

from domain.jobs import JOBS, Job
from domain.storage import UnitOfWork


class JobQueue:
    """Stages jobs, and notifies the worker of this process, if it has one."""

    def __init__(self) -> None:
        self.on_staged: Callable[[], None] = lambda: None

    def stage(self, unit: UnitOfWork, job: Job) -> None:
        unit.records(JOBS).add(job)
        self.on_staged()
