"""Jobs beside requests."""

import asyncio
from datetime import UTC, datetime

import pytest

from adapters.memory.storage import MemoryStorage
from adapters.runtime.system import Uuid7Source
from domain.jobs import JOBS, Job
from domain.values import JobId
from tests.http.service import Service, running


async def stage(service: Service) -> Job:
    job = Job.create(id=Uuid7Source().new(JobId), kind="mail", payload={}, due_at=datetime.now(UTC))
    unit = service.storage.unit_of_work()
    service.container.jobs().stage(unit, job)
    await unit.commit()
    return job


@pytest.mark.parametrize("jobs", [True, False])
async def test_a_server_runs_jobs_unless_that_is_switched_off(jobs: bool) -> None:
    done: list[str] = []
    seen = asyncio.Event()

    async def handle(job: Job) -> None:
        done.append(job.id)
        seen.set()

    async with running(jobs=jobs, handlers={"mail": handle}) as service:
        job = await stage(service)
        if jobs:
            await asyncio.wait_for(seen.wait(), 10)
        else:
            await asyncio.sleep(0.1)
    assert done == ([job.id] if jobs else [])


async def test_a_server_that_stops_lets_its_jobs_finish() -> None:
    storage, begun, release = MemoryStorage(), asyncio.Event(), asyncio.Event()

    async def handle(_: Job) -> None:
        begun.set()
        await release.wait()

    async with running(storage=storage, jobs=True, handlers={"mail": handle}) as service:
        await stage(service)
        await asyncio.wait_for(begun.wait(), 10)
        asyncio.get_running_loop().call_later(0.05, release.set)
    assert await storage.unit_of_work().records(JOBS).count() == 0
