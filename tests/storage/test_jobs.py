"""Workers on every store: they compete for jobs, and outlive an outage."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime

import pytest

from adapters.runtime.system import SystemClock, Uuid7Source
from adapters.storage_contract.faulty_proxy import Fault, FaultyProxy
from application.jobs.queue import JobQueue
from application.jobs.runner import JobRunner
from application.jobs.traffic import Traffic
from application.jobs.worker import JobWorker
from domain.jobs import JOBS, Job
from domain.storage import Storage
from domain.values import JobId
from entrypoints.storage_by_url import open_storage
from tests.servers.choice import KINDS, Kind, is_chosen
from tests.servers.databases import Databases, server_kind

WORKERS = 4
IDS = Uuid7Source()

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=[*(["memory"] if is_chosen("memory") else []), *KINDS])
def place(request: pytest.FixtureRequest, databases: Databases) -> Iterator[tuple[str, str]]:
    """The kind and the URL of an empty database of each kind."""
    if request.param == "memory":
        yield "memory", "memory://"
    else:
        kind: Kind = request.param
        with databases.fresh(kind) as url:
            yield kind, url


@pytest.fixture
async def clients(place: tuple[str, str]) -> AsyncIterator[list[Storage]]:
    """One database, opened as by several processes."""
    kind, url = place
    async with AsyncExitStack() as ends:
        connected = [open_storage(url) for _ in range(1 if kind == "memory" else WORKERS)]
        for storage in connected:
            ends.push_async_callback(storage.close)
        await connected[0].prepare()
        yield connected * (WORKERS // len(connected))


async def stage(storage: Storage, count: int) -> list[Job]:
    unit = storage.unit_of_work()
    jobs = [
        Job.create(id=IDS.new(JobId), kind="mail", payload={"to": f"{n}"}, due_at=datetime.now(UTC))
        for n in range(count)
    ]
    for job in jobs:
        unit.records(JOBS).add(job)
    await unit.commit()
    return jobs


async def test_of_workers_that_race_each_job_is_done_by_one(clients: list[Storage]) -> None:
    jobs = await stage(clients[0], 60)
    done: Counter[tuple[str, str]] = Counter()

    async def handle(job: Job) -> None:
        await asyncio.sleep(0)
        done[job.id, job.payload["to"]] += 1

    async def work(storage: Storage) -> None:
        runner = JobRunner(storage, SystemClock(), {"mail": handle})
        while await storage.unit_of_work().records(JOBS).count():
            await asyncio.sleep(0)  # a memory never waits by itself
            claims = await runner.claim(32)
            await runner.settle(await asyncio.gather(*map(runner.attempt, claims.jobs)))

    async with asyncio.timeout(60):
        await asyncio.gather(*map(work, clients))
    assert done == Counter({(job.id, job.payload["to"]): 1 for job in jobs})


async def test_a_worker_goes_on_after_an_outage(
    place: tuple[str, str], clients: list[Storage], caplog: pytest.LogCaptureFixture
) -> None:
    kind, url = place
    if kind in {"memory", "sqlite"}:
        pytest.skip("there is no server that could be away")
    done: asyncio.Queue[str] = asyncio.Queue()

    async def handle(job: Job) -> None:
        done.put_nowait(job.id)

    served = server_kind(kind)  # type: ignore[arg-type] # it is no memory
    with FaultyProxy(served.endpoint(url)) as proxy:
        storage = open_storage(served.moved(url, proxy.port))
        worker = JobWorker(JobRunner(storage, SystemClock(), {"mail": handle}), JobQueue(), Traffic())
        task = asyncio.create_task(worker.run())
        try:
            async with asyncio.timeout(60):
                (before,) = await stage(clients[0], 1)
                assert await done.get() == before.id
                proxy.fault = Fault.RESET
                (later,) = await stage(clients[0], 1)
                while "background jobs wait" not in caplog.text:  # noqa: ASYNC110 - there is no event to wait for
                    await asyncio.sleep(0.05)
                proxy.fault = None
                while await done.get() != later.id:  # the outage may have come before the outcome was saved
                    pass
        finally:
            worker.stop()
            await task
            await storage.close()
    assert await clients[0].unit_of_work().records(JOBS).count() == 0
