"""The worker runs in the background of a process."""

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from time import monotonic

import pytest

from adapters.memory.storage import MemoryStorage
from adapters.runtime.system import SystemClock, Uuid7Source
from application.jobs.queue import JobQueue
from application.jobs.runner import JobRunner, Outcome
from application.jobs.traffic import Traffic
from application.jobs.worker import JobWorker
from domain.errors import StorageUnavailable
from domain.jobs import JOBS, Job
from domain.storage import Storage
from domain.values import JobId
from tests.http.storages import FailingStorage

IDS = Uuid7Source()


@asynccontextmanager
async def working(
    storage: Storage, queue: JobQueue, handler: Callable[[Job], Awaitable[None]], traffic: Traffic | None = None
) -> AsyncIterator[JobWorker]:
    async def handle(job: Job) -> None:
        await handler(job)

    worker = JobWorker(JobRunner(storage, SystemClock(), {"mail": handle}), queue, traffic or Traffic())
    task = asyncio.create_task(worker.run())
    try:
        async with asyncio.timeout(30):
            yield worker
    finally:
        worker.stop()
        await task


def a_job() -> Job:
    return Job.create(id=IDS.new(JobId), kind="mail", payload={}, due_at=datetime.now(UTC))


async def left(storage: Storage) -> int:
    return await storage.unit_of_work().records(JOBS).count()


async def test_a_job_is_done_after_the_commit_that_it_was_staged_in() -> None:
    storage, queue, done = MemoryStorage(), JobQueue(), asyncio.Event()

    async def handle(_: Job) -> None:
        done.set()

    async with working(storage, queue, handle):
        unit = storage.unit_of_work()
        queue.stage(unit, a_job())
        await asyncio.sleep(0.05)
        assert not done.is_set()
        await unit.commit()
        await done.wait()
    assert await left(storage) == 0


async def test_a_job_that_another_process_staged_is_found() -> None:
    storage, done = MemoryStorage(), asyncio.Event()

    async def handle(_: Job) -> None:
        done.set()

    async with working(storage, JobQueue(), handle):
        unit = storage.unit_of_work()
        JobQueue().stage(unit, a_job())
        await unit.commit()
        await done.wait()
    assert await left(storage) == 0


async def test_many_jobs_run_a_bounded_number_at_a_time() -> None:
    storage, queue = MemoryStorage(), JobQueue()
    running, most, done, all_done = 0, 0, 0, asyncio.Event()

    async def handle(_: Job) -> None:
        nonlocal running, most, done
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.001)
        running -= 1
        done += 1
        if done == 200:
            all_done.set()

    async with working(storage, queue, handle):
        unit = storage.unit_of_work()
        for _ in range(200):
            queue.stage(unit, a_job())
        await unit.commit()
        await all_done.wait()
    assert most == 32
    assert (done, await left(storage)) == (200, 0)


async def test_outcomes_of_jobs_that_end_shortly_after_each_other_share_commits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("application.jobs.worker._SETTLE_SECONDS", 0.5)
    storage, queue, release = MemoryStorage(), JobQueue(), asyncio.Event()
    settled = []

    async def settle(self: JobRunner, outcomes: Sequence[Outcome]) -> None:
        settled.append(len(outcomes))
        await save(self, outcomes)

    save = JobRunner.settle
    monkeypatch.setattr(JobRunner, "settle", settle)
    numbers = itertools.count()

    async def handle(_: Job) -> None:
        number = next(numbers)
        if number == 0:
            await release.wait()
        await asyncio.sleep(0.001 * number)

    async with working(storage, queue, handle):
        unit = storage.unit_of_work()
        for _ in range(20):
            queue.stage(unit, a_job())
        await unit.commit()
        while await left(storage) > 1:  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.01)
        release.set()
    assert settled == [19, 1]


async def test_jobs_that_hang_do_not_hold_up_all_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("application.jobs.worker._REFILL_SECONDS", 0.001)
    storage, queue, release, done = MemoryStorage(), JobQueue(), asyncio.Event(), asyncio.Event()
    hanging = [a_job() for _ in range(31)]

    async def handle(job: Job) -> None:
        if job.id in {each.id for each in hanging}:
            await release.wait()
        elif job.id == last.id:
            done.set()

    others = [a_job() for _ in range(50)]
    last = others[-1]
    async with working(storage, queue, handle):
        unit = storage.unit_of_work()
        for job in (*hanging, *others):
            queue.stage(unit, job)
        await unit.commit()
        await done.wait()
        release.set()
    assert await left(storage) == 0


async def test_a_stop_lets_running_jobs_finish_and_claims_no_others() -> None:
    storage, queue, begun, release = MemoryStorage(), JobQueue(), asyncio.Event(), asyncio.Event()
    done: list[Job] = []

    async def handle(job: Job) -> None:
        begun.set()
        await release.wait()
        done.append(job)

    async with working(storage, queue, handle) as worker:
        unit = storage.unit_of_work()
        queue.stage(unit, a_job())
        await unit.commit()
        await begun.wait()
        worker.stop()
        unit = storage.unit_of_work()
        queue.stage(unit, a_job())
        await unit.commit()
        await asyncio.sleep(0.05)
        release.set()
    assert (len(done), await left(storage)) == (1, 1)


async def test_a_stop_waits_for_a_bounded_time(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("application.jobs.worker._SECONDS_TO_FINISH", 0.05)
    storage, queue, begun = MemoryStorage(), JobQueue(), asyncio.Event()

    async def hang(_: Job) -> None:
        begun.set()
        await asyncio.Event().wait()

    async with working(storage, queue, hang):
        unit = storage.unit_of_work()
        queue.stage(unit, a_job())
        await unit.commit()
        await begun.wait()
    assert caplog.messages == ["1 background jobs were interrupted, and will run again"]
    (job,) = await storage.unit_of_work().records(JOBS).page(limit=9)
    assert not job.failed


async def test_an_outage_is_logged_once_and_survived(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("application.jobs.worker._MAX_PAUSE_SECONDS", 0.01)
    storage, queue, begun, release, done = FailingStorage(), JobQueue(), *(asyncio.Event() for _ in range(3))

    async def handle(_: Job) -> None:
        begun.set()
        await release.wait()
        done.set()

    async with working(storage, queue, handle):
        unit = storage.unit_of_work()
        queue.stage(unit, a_job())
        await unit.commit()
        await begun.wait()
        storage.failure = StorageUnavailable()
        release.set()
        await done.wait()
        while not caplog.messages:  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        storage.failure = RuntimeError("a bug of a driver, with a password")
        await asyncio.sleep(0.1)
        storage.failure = None
        while len(caplog.messages) < 2:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)
        assert await left(storage) == 0
    assert caplog.messages == [f"background jobs wait: {StorageUnavailable.sentence}", "background jobs go on"]


@pytest.mark.slow
async def test_an_idle_worker_looks_once_a_second_at_most() -> None:
    looks: list[float] = []

    class Looked(MemoryStorage):
        def unit_of_work(self):  # type: ignore[no-untyped-def]
            looks.append(asyncio.get_running_loop().time())
            return super().unit_of_work()

    async def handle(_: Job) -> None: ...

    async with working(Looked(), JobQueue(), handle):
        while len(looks) < 3:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.05)
    assert min(later - earlier for earlier, later in itertools.pairwise(looks)) >= 1


def test_a_process_is_busy_after_many_requests_since_it_was_last_asked() -> None:
    traffic = Traffic()
    for _ in range(10_000):
        traffic.count_request()
    assert [traffic.is_busy(), traffic.is_busy()] == [True, False]


async def test_a_busy_process_starts_two_jobs_at_a_time_and_then_pauses() -> None:
    storage, queue = MemoryStorage(), JobQueue()
    looks: list[float] = []
    looks_at_start: list[int] = []
    enough = asyncio.Event()

    class BusyTraffic(Traffic):
        def is_busy(self) -> bool:
            looks.append(monotonic())
            return True

    async def handle(_: Job) -> None:
        looks_at_start.append(len(looks))
        if len(looks_at_start) == 6:
            enough.set()

    async with working(storage, queue, handle, BusyTraffic()):
        unit = storage.unit_of_work()
        for _ in range(50):
            queue.stage(unit, a_job())
        await unit.commit()
        await enough.wait()
    assert max(Counter(looks_at_start).values()) == 2
    assert min(later - earlier for earlier, later in itertools.pairwise(looks[-3:])) >= 0.2
    assert await left(storage) > 0
