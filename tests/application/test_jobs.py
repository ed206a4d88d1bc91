"""Jobs run step by step, in memory, with a clock that the tests move."""

import asyncio
import logging
from collections.abc import Mapping
from datetime import timedelta

import pytest

from adapters.runtime.system import Uuid7Source
from application.jobs.runner import JobRunner
from application.jobs.service import JobService
from application.ports import JobBlocked, JobDelayed, JobFailed, JobHandler
from domain.errors import StaleVersion, StorageUnavailable
from domain.jobs import JOBS, Job
from domain.values import JobId
from tests.application.fakes import ConflictingStorage, ManualClock

IDS = Uuid7Source()


class RecordingHandler:
    """A handler that records its calls, and first raises the given errors."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.done: list[JobId] = []

    async def __call__(self, job: Job) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.done.append(job.id)


async def stage(storage: ConflictingStorage, clock: ManualClock, *kinds: str, **delay: float) -> list[Job]:
    unit = storage.unit_of_work()
    due_at = clock.now() + timedelta(**delay)
    jobs = [Job.create(id=IDS.new(JobId), kind=kind, payload={"to": "ann"}, due_at=due_at) for kind in kinds]
    for job in jobs:
        unit.records(JOBS).add(job)
    await unit.commit()
    return jobs


def a_runner(storage: ConflictingStorage, clock: ManualClock, jitter: float = 0.0, **handlers: JobHandler) -> JobRunner:
    return JobRunner(storage, clock, handlers, lambda: jitter)


async def run_due(runner: JobRunner, limit: int = 10) -> int:
    """Run the jobs due now; return how many were claimed."""
    claims = await runner.claim(limit)
    await runner.settle(await asyncio.gather(*map(runner.attempt, claims.jobs)))
    return len(claims.jobs)


async def stored(storage: ConflictingStorage) -> Mapping[str, Job]:
    return {job.id: job for job in await storage.unit_of_work().records(JOBS).page(limit=1_000)}


async def test_a_due_job_is_done_once_and_removed(storage: ConflictingStorage, clock: ManualClock) -> None:
    before_commit = RecordingHandler()
    runner = a_runner(storage, clock, mail=before_commit)
    (job,) = await stage(storage, clock, "mail")
    assert await run_due(runner) == 1
    assert before_commit.done == [job.id]
    assert await stored(storage) == {}
    assert await run_due(runner) == 0


async def test_a_job_waits_until_it_is_due(storage: ConflictingStorage, clock: ManualClock) -> None:
    before_commit = RecordingHandler()
    runner = a_runner(storage, clock, mail=before_commit)
    await stage(storage, clock, "mail", minutes=5)
    clock.move(minutes=4, seconds=59)
    assert await run_due(runner) == 0
    clock.move(seconds=1)
    assert await run_due(runner) == 1
    assert len(before_commit.done) == 1


async def test_each_kind_has_its_handler(storage: ConflictingStorage, clock: ManualClock) -> None:
    mail, sweep = RecordingHandler(), RecordingHandler()
    runner = a_runner(storage, clock, mail=mail, sweep=sweep)
    mails = await stage(storage, clock, "mail", "mail")
    sweeps = await stage(storage, clock, "sweep")
    assert await run_due(runner) == 3
    assert sorted(mail.done) == [job.id for job in mails]
    assert sweep.done == [job.id for job in sweeps]


async def test_no_more_jobs_are_claimed_than_asked_for_and_the_earliest_come_first(
    storage: ConflictingStorage, clock: ManualClock
) -> None:
    before_commit = RecordingHandler()
    runner = a_runner(storage, clock, mail=before_commit)
    later = await stage(storage, clock, "mail", "mail", seconds=1)
    sooner = await stage(storage, clock, "mail", "mail")
    clock.move(seconds=1)
    claims = await runner.claim(2)
    assert [job.id for job in claims.jobs] == [job.id for job in sooner]
    assert claims.may_be_more
    claims = await runner.claim(3)
    assert [job.id for job in claims.jobs] == [job.id for job in later]
    assert not claims.may_be_more


async def test_a_claimed_job_is_left_alone_until_its_lease_has_ended(
    storage: ConflictingStorage, clock: ManualClock
) -> None:
    before_commit = RecordingHandler()
    await stage(storage, clock, "mail")
    dead, other = a_runner(storage, clock, mail=before_commit), a_runner(storage, clock, mail=before_commit)
    await dead.claim(10)
    clock.move(seconds=59.9)
    assert await run_due(other) == 0
    clock.move(seconds=0.1)
    assert await run_due(other) == 1
    assert len(before_commit.done) == 1
    assert await stored(storage) == {}


async def test_a_job_that_another_worker_has_claimed_is_not_run(
    storage: ConflictingStorage, clock: ManualClock
) -> None:
    first, other = a_runner(storage, clock), a_runner(storage, clock)
    jobs = await stage(storage, clock, *["mail"] * 5)

    async def claim_two() -> None:
        assert len((await other.claim(2)).jobs) == 2

    storage.before_commit = [claim_two]
    claims = await first.claim(10)
    assert sorted(job.id for job in claims.jobs) == [job.id for job in jobs[2:]]
    assert {job.version for job in (await stored(storage)).values()} == {2}


async def test_workers_that_compete_choose_among_more_jobs_than_they_claim(
    storage: ConflictingStorage, clock: ManualClock
) -> None:
    first, other = a_runner(storage, clock), a_runner(storage, clock)
    jobs = await stage(storage, clock, *["mail"] * 200)

    async def claim_first() -> None:
        await other.claim(1)

    storage.before_commit = [claim_first]
    await first.claim(20)
    claimed = {job.id for job in (await first.claim(20)).jobs}
    assert len(claimed) == 20
    assert claimed != {job.id for job in jobs[20:40]}


async def test_a_failure_is_retried_after_longer_and_longer_pauses_and_at_last_is_final(
    storage: ConflictingStorage, clock: ManualClock
) -> None:
    before_commit = RecordingHandler(*[JobDelayed("The server is busy.")] * 10)
    runner = a_runner(storage, clock, mail=before_commit)
    clock.time = clock.time.replace(microsecond=0)
    (job,) = await stage(storage, clock, "mail")
    pauses = []
    while not (now := (await stored(storage))[job.id]).failed:
        pauses.append((now.due_at - clock.now()).total_seconds())
        clock.time = now.due_at
        assert await run_due(runner) == 1
    assert pauses[1:] == [10, 20, 40, 80, 160, 320, 640, 1280, 2560]
    assert (now.attempts, now.last_error) == (10, "The server is busy.")
    clock.move(days=29)
    assert await run_due(runner) == 0
    assert before_commit.done == []


async def test_jitter_lengthens_pauses_up_to_an_hour(storage: ConflictingStorage, clock: ManualClock) -> None:
    runner = a_runner(storage, clock, jitter=0.5, mail=RecordingHandler(*[JobDelayed("Not now.")] * 10))
    clock.time = clock.time.replace(microsecond=0)
    (job,) = await stage(storage, clock, "mail")
    pauses = []
    for _ in range(9):
        await run_due(runner)
        now = (await stored(storage))[job.id]
        pauses.append((now.due_at - clock.now()).total_seconds())
        clock.time = now.due_at
    assert pauses == [15, 30, 60, 120, 240, 480, 960, 1920, 3600]


async def test_a_job_that_an_operator_has_to_unblock_waits_without_using_up_attempts(
    storage: ConflictingStorage, clock: ManualClock
) -> None:
    handler = RecordingHandler(JobDelayed("The server is busy."), *[JobBlocked("No key is set.")] * 30)
    runner = a_runner(storage, clock, jitter=0.5, mail=handler)
    clock.time = clock.time.replace(microsecond=0)
    (job,) = await stage(storage, clock, "mail")
    await run_due(runner)
    for _ in range(30):
        clock.time = (await stored(storage))[job.id].due_at
        assert await run_due(runner) == 1
        now = (await stored(storage))[job.id]
        assert (now.attempts, now.failed, now.last_error) == (1, False, "No key is set.")
        assert now.due_at - clock.now() == timedelta(seconds=90)
    clock.time = now.due_at
    await run_due(runner)
    assert handler.done == [job.id]


async def test_the_log_has_one_line_for_all_jobs_that_an_operator_has_to_unblock(
    storage: ConflictingStorage, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    runner = a_runner(storage, clock, mail=RecordingHandler(*[JobBlocked("No key\nis set.")] * 6))
    await stage(storage, clock, "mail", "mail", "mail")
    for _ in range(3):
        await run_due(runner)
        clock.move(minutes=2)
    assert caplog.messages == ["mail jobs wait: No key is set.", "mail jobs go on"]


async def test_a_job_that_can_never_be_done_fails_at_once_and_is_kept_for_thirty_days(
    storage: ConflictingStorage, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    runner = a_runner(storage, clock, mail=RecordingHandler(JobFailed("550 No such mailbox.")))
    (job,) = await stage(storage, clock, "mail")
    await run_due(runner)
    failed = (await stored(storage))[job.id]
    assert (failed.failed, failed.last_error, failed.attempts) == (True, "550 No such mailbox.", 1)
    assert caplog.messages == [f"mail job {job.id} has failed: 550 No such mailbox. (attempt 1)"]
    clock.move(days=29, hours=23)
    await run_due(runner)
    assert job.id in await stored(storage)
    clock.move(hours=1)
    assert await run_due(runner) == 0
    assert await stored(storage) == {}


async def test_what_an_unexpected_error_says_is_neither_stored_nor_logged(
    storage: ConflictingStorage, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    runner = a_runner(storage, clock, mail=RecordingHandler(RuntimeError("password=hunter2")))
    (job,) = await stage(storage, clock, "mail")
    await run_due(runner)
    assert (await stored(storage))[job.id].last_error == "unexpected failure (RuntimeError)"
    assert "hunter2" not in caplog.text
    assert "test_jobs.py" in caplog.text  # the log contains the source of the exception


async def test_an_error_is_kept_as_one_line_of_bounded_length(storage: ConflictingStorage, clock: ManualClock) -> None:
    runner = a_runner(storage, clock, mail=RecordingHandler(JobFailed("550-No\r\n550\x1b[31m\0 " + "x" * 1_000)))
    (job,) = await stage(storage, clock, "mail")
    await run_due(runner)
    error = (await stored(storage))[job.id].last_error
    assert error is not None
    assert error.startswith("550-No 550 [31m xxx")
    assert len(error) == Job.MAX_ERROR_LENGTH


async def test_a_job_that_ends_its_worker_each_time_fails_too(storage: ConflictingStorage, clock: ManualClock) -> None:
    before_commit = RecordingHandler()
    runner = a_runner(storage, clock, mail=before_commit)
    (job,) = await stage(storage, clock, "mail")
    for _ in range(Job.MAX_ATTEMPTS):
        assert len((await runner.claim(10)).jobs) == 1
        clock.move(minutes=1)
    assert await run_due(runner) == 0
    assert (await stored(storage))[job.id].failed
    assert before_commit.done == []


async def test_a_kind_that_only_another_version_knows_waits(storage: ConflictingStorage, clock: ManualClock) -> None:
    (job,) = await stage(storage, clock, "telegram")
    await run_due(a_runner(storage, clock))
    assert not (await stored(storage))[job.id].failed
    telegraph = RecordingHandler()
    clock.move(minutes=1)
    await run_due(a_runner(storage, clock, telegram=telegraph))
    assert telegraph.done == [job.id]


async def test_an_attempt_ends_before_its_lease_does(storage: ConflictingStorage, clock: ManualClock) -> None:
    async def hang(_: Job) -> None:
        await asyncio.Event().wait()

    runner = a_runner(storage, clock, mail=hang)
    (job,) = await stage(storage, clock, "mail")
    (claimed,) = (await runner.claim(10)).jobs
    clock.move(seconds=50)
    await runner.settle([await runner.attempt(claimed)])
    assert (await stored(storage))[job.id].last_error == "it took too long"


async def test_an_outcome_that_could_not_be_saved_can_be_saved_later(
    storage: ConflictingStorage, clock: ManualClock
) -> None:
    async def outage() -> None:
        raise StorageUnavailable

    runner = a_runner(storage, clock, mail=RecordingHandler(JobFailed("550 No.")))
    await stage(storage, clock, "mail", "mail")
    outcomes = [await runner.attempt(job) for job in (await runner.claim(10)).jobs]
    storage.before_commit = [outage]
    with pytest.raises(StorageUnavailable):
        await runner.settle(outcomes)
    await runner.settle(outcomes)
    (job,) = (await stored(storage)).values()
    assert job.failed
    await runner.settle(outcomes)  # as if the first commit had been applied and only its confirmation was lost
    assert list((await stored(storage)).values()) == [job]


async def test_an_outcome_is_dropped_when_another_worker_has_the_job_now(
    storage: ConflictingStorage, clock: ManualClock
) -> None:
    runner = a_runner(storage, clock, mail=RecordingHandler())
    jobs = await stage(storage, clock, "mail", "mail")
    outcomes = [await runner.attempt(job) for job in (await runner.claim(10)).jobs]
    clock.move(minutes=1)
    await a_runner(storage, clock).claim(1)
    await runner.settle(outcomes)
    (left,) = (await stored(storage)).values()
    assert left.id in {job.id for job in jobs}
    assert left.attempts == 2


async def test_failed_jobs_are_restarted_with_all_of_their_attempts(
    storage: ConflictingStorage, clock: ManualClock
) -> None:
    before_commit = RecordingHandler(*[JobFailed("550 No.")] * 3)
    runner, service = a_runner(storage, clock, mail=before_commit), JobService(storage, clock)
    jobs = await stage(storage, clock, "mail", "mail", "mail")
    await run_due(runner)
    waiting = await stage(storage, clock, "mail", hours=1)
    assert await service.restart([jobs[0].id, waiting[0].id, IDS.new(JobId)]) == [jobs[0].id]
    assert await run_due(runner) == 1
    assert await service.restart_all() == 2
    assert await service.restart_all() == 0
    assert await run_due(runner) == 2
    assert sorted(before_commit.done) == [job.id for job in jobs]


async def test_a_restart_that_meets_another_one_is_repeated(storage: ConflictingStorage, clock: ManualClock) -> None:
    runner, service = a_runner(storage, clock, mail=RecordingHandler(JobFailed("550 No."))), JobService(storage, clock)
    (job,) = await stage(storage, clock, "mail")
    await run_due(runner)

    async def restart_elsewhere() -> None:
        assert await service.restart_all() == 1

    storage.before_commit = [restart_elsewhere]
    assert await service.restart([job.id]) == []
    assert (await stored(storage))[job.id].attempts == 0


async def test_jobs_are_listed_by_creation_in_batches(storage: ConflictingStorage, clock: ManualClock) -> None:
    jobs = await stage(storage, clock, *["mail"] * 450)
    service = JobService(storage, clock)
    assert [job.id async for batch in service.batches() for job in batch] == [job.id for job in jobs]
    assert [job async for batch in service.batches(failed_only=True) for job in batch] == []


def test_a_payload_is_in_no_repr() -> None:
    job = Job.create(id=IDS.new(JobId), kind="mail", payload={"key": "hunter2"}, due_at=ManualClock().now())
    assert "hunter2" not in repr(job)
    assert JOBS.secrets == {"payload"}
    assert JOBS.owner is None  # so no export of users includes it


async def test_a_lost_race_for_one_job_is_no_error(storage: ConflictingStorage, clock: ManualClock) -> None:
    await stage(storage, clock, "mail")

    async def lose() -> None:
        raise StaleVersion

    storage.before_commit = [lose]
    claims = await a_runner(storage, clock).claim(1)
    assert list(claims.jobs) == []
