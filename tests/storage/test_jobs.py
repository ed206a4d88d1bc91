"""Workers that compete for jobs, on every store."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, nullcontext
from datetime import UTC, datetime

import pytest

from adapters.runtime.clock import SystemClock
from adapters.runtime.ids import Uuid7Source
from application.jobs.runner import JobRunner
from domain.jobs import JOBS, Job
from domain.storage import Storage
from domain.values import JobId
from entrypoints.storage_by_url import open_storage
from tests.servers.choice import KINDS, Kind, is_chosen
from tests.servers.databases import Databases

WORKERS = 4
JOBS_STAGED = 60

pytestmark = pytest.mark.slow


@pytest.fixture(params=[*(["memory"] if is_chosen("memory") else []), *KINDS])
async def clients(request: pytest.FixtureRequest, databases: Databases) -> AsyncIterator[list[Storage]]:
    """One database, opened as by several processes."""
    kind: Kind = request.param
    async with AsyncExitStack() as ends:
        is_in_memory = request.param == "memory"
        url = ends.enter_context(nullcontext("memory://") if is_in_memory else databases.fresh(kind))
        connected = [open_storage(url) for _ in range(1 if is_in_memory else WORKERS)]
        for storage in connected:
            ends.push_async_callback(storage.close)
        await connected[0].prepare()
        yield connected * (WORKERS // len(connected))


async def test_of_workers_that_race_each_job_is_done_by_one(clients: list[Storage]) -> None:
    ids = Uuid7Source()
    jobs = [
        Job.create(id=ids.new(JobId), kind="mail", payload={"to": f"{n}"}, due_at=datetime.now(UTC))
        for n in range(JOBS_STAGED)
    ]
    unit = clients[0].unit_of_work()
    for job in jobs:
        unit.records(JOBS).add(job)
    await unit.commit()
    done: Counter[tuple[str, str]] = Counter()

    async def handle(job: Job) -> None:
        await asyncio.sleep(0)
        done[job.id, job.payload["to"]] += 1

    async def work(storage: Storage) -> None:
        runner = JobRunner(storage, SystemClock(), {"mail": handle})
        while await storage.unit_of_work().records(JOBS).count():
            await asyncio.sleep(0)  # a memory store never yields by itself
            claims = await runner.claim(7)
            await runner.settle(await asyncio.gather(*map(runner.attempt, claims.jobs)))

    async with asyncio.timeout(60):
        await asyncio.gather(*map(work, clients))
    assert done == Counter({(job.id, job.payload["to"]): 1 for job in jobs})
