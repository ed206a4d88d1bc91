"""`userport work` and `userport jobs`."""

import asyncio
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from adapters.runtime.system import Uuid7Source
from application.jobs.runner import JobRunner
from domain.jobs import JOBS, Job
from domain.values import JobId
from entrypoints.storage_by_url import open_storage
from tests.application.fakes import ManualClock
from tests.cli.commands import PROGRAM, environment, userport
from tests.http.records import new_user
from tests.http.service import running
from tests.http.sign_in_helpers import PASSWORD, SIGNING_KEY
from tests.mail.smtp_server import serving as smtp_serving
from tests.servers.choice import is_chosen
from tests.servers.databases import Databases

IDS: Final = Uuid7Source()

WORK: Final = """
import asyncio, sys
from dependency_injector.providers import Dict, Object
from entrypoints.cli.work import work
from entrypoints.container import Container

async def handle(job):
    print("begun", job.id, flush=True)
    await asyncio.sleep(float(job.payload["seconds"]))
    print("done", job.id, flush=True)

Container.job_handlers.override(Dict(slow=Object(handle)))
work(sys.argv[1])
"""
"""`userport work` with a slow job handler."""


@contextmanager
def working(*command: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(  # noqa: S603
        command, env=environment(**variables), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            assert process.stderr is not None
            assert process.stderr.readline() == "userport runs background jobs\n"
            yield process
        finally:
            process.kill()


def stage(url: str, kind: str, seconds: float = 0.0, *, failed: bool = False) -> Job:
    job = Job.create(
        id=IDS.new(JobId), kind=kind, payload={"seconds": f"{seconds}", "key": "hunter2"}, due_at=datetime.now(UTC)
    )

    async def add() -> None:
        storage = open_storage(url)
        await storage.prepare()
        unit = storage.unit_of_work()
        unit.records(JOBS).add(job)
        if failed:
            unit.records(JOBS).save(job.fail("550 No such mailbox.", datetime.now(UTC)))
        await unit.commit()
        await storage.close()

    asyncio.run(add())
    return job


def jobs_of(url: str) -> Sequence[Job]:
    async def read() -> Sequence[Job]:
        storage = open_storage(url)
        jobs = await storage.unit_of_work().records(JOBS).page(limit=100)
        await storage.close()
        return jobs

    return asyncio.run(read())


def read_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_job_whose_worker_was_killed_runs_again(databases: Databases, kind: str) -> None:
    if not is_chosen(kind):
        pytest.skip(f"{kind} is not among STORAGES")
    with databases.fresh(kind) as url:  # type: ignore[arg-type]
        job = stage(url, "slow", seconds=60)
        with working(sys.executable, "-c", WORK, url) as process:
            assert read_line(process) == f"begun {job.id}\n"
            process.kill()
            process.wait()
        (claimed,) = jobs_of(url)
        assert (claimed.id, claimed.attempts) == (job.id, 1)
        assert run_at(url, datetime.now(UTC)) == []
        assert run_at(url, datetime.now(UTC) + Job.LEASE) == [job.id]
        assert jobs_of(url) == []


def run_at(url: str, moment: datetime) -> Sequence[str]:
    """Run the jobs due at a moment; return what was done."""
    done: list[str] = []

    async def handle(job: Job) -> None:
        done.append(job.id)

    async def run() -> None:
        clock = ManualClock()
        clock.time = moment
        storage = open_storage(url)
        runner = JobRunner(storage, clock, {"slow": handle})
        await runner.settle([await runner.attempt(job) for job in (await runner.claim(9)).jobs])
        await storage.close()

    asyncio.run(run())
    return done


@pytest.mark.slow
@pytest.mark.parametrize("wanted", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_running_jobs_finish(sqlite: str, wanted: signal.Signals) -> None:
    job = stage(sqlite, "slow", seconds=1)
    with working(sys.executable, "-c", WORK, sqlite) as process:
        assert read_line(process) == f"begun {job.id}\n"
        process.send_signal(wanted)
        output, errors = process.communicate(timeout=30)
        assert (output, errors, process.returncode) == (f"done {job.id}\n", "", 0)
    assert jobs_of(sqlite) == []


@pytest.mark.slow
@pytest.mark.parametrize("wanted", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_the_process_at_once(sqlite: str, wanted: signal.Signals) -> None:
    job = stage(sqlite, "slow", seconds=40)
    with working(sys.executable, "-c", WORK, sqlite) as process:
        assert read_line(process) == f"begun {job.id}\n"
        process.send_signal(wanted)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=1)  # the job is running
        process.send_signal(wanted)
        assert process.wait(timeout=5) == -wanted
    (claimed,) = jobs_of(sqlite)
    assert (claimed.id, claimed.attempts) == (job.id, 1)


@pytest.mark.slow
def test_the_program_runs_jobs_and_ends_well(sqlite: str) -> None:
    job = stage(sqlite, "unheard-of")
    with working(*PROGRAM, "work", "--storage", sqlite) as process:
        assert process.stderr is not None
        message = process.stderr.readline()
        reason = "this version of userport has no handler for unheard-of"
        assert message == f"unheard-of job {job.id} will be tried again: {reason} (attempt 1)\n"
        process.terminate()
        assert process.wait(timeout=30) == 0
    listed = userport("jobs", "list", "--storage", sqlite).text
    assert re.fullmatch(rf"{job.id}  unheard-of  20[0-9T:.-]+Z  1  {reason}\n", listed)


@pytest.mark.slow
def test_mail_waits_for_a_signing_key_without_using_attempts_up(sqlite: str) -> None:
    jobs = [stage(sqlite, "mail") for _ in range(3)]
    reason = "mail needs the signing key that the servers have: set USERPORT_SIGNING_KEY"
    with working(*PROGRAM, "work", "--storage", sqlite) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == f"mail jobs wait: {reason}\n"
        process.terminate()
        assert process.communicate(timeout=30) == ("", "")
    listed = userport("jobs", "list", "--storage", sqlite).text.splitlines()
    assert len(listed) == len(jobs)
    for line, job in zip(listed, jobs, strict=True):
        assert re.fullmatch(rf"{job.id}  mail  20[0-9T:.-]+Z  0  {reason}", line)


@pytest.mark.slow
def test_mail_waits_for_a_password_that_its_server_accepts_without_using_attempts_up(sqlite: str) -> None:
    def log_of(mail: str) -> tuple[str, tuple[str, str]]:
        settings = {"USERPORT_MAIL": mail, "USERPORT_SIGNING_KEY": SIGNING_KEY}
        with working(*PROGRAM, "work", "--storage", sqlite, **settings) as process:
            assert process.stderr is not None
            line = process.stderr.readline()
            process.terminate()
            return line, process.communicate(timeout=30)

    async def sign_up_and_work() -> None:
        async with running(sqlite, hashes=False, signing_key=SIGNING_KEY) as service, service.connect() as client:
            for _ in range(3):
                assert (await client.post("/users", json=new_user(password=PASSWORD))).status_code == 201
        async with smtp_serving(auth_require_tls=False) as server:
            log = await asyncio.to_thread(log_of, f"smtp://ann:hunter2@127.0.0.1:{server.port}")
        assert log == (f"mail jobs wait: {reason}\n", ("", ""))
        assert (set(server.logins), server.received) == ({(b"ann", b"hunter2")}, [])

    reason = "127.0.0.1: it refuses the user or the password (535)"
    asyncio.run(sign_up_and_work())
    listed = userport("jobs", "list", "--storage", sqlite).text.splitlines()
    assert len(listed) == 3
    for line, job in zip(listed, jobs_of(sqlite), strict=True):
        assert re.fullmatch(rf"{job.id}  mail  20[0-9T:.-]+Z  0  {re.escape(reason)}", line)


def test_a_memory_has_no_other_process_that_could_work_on_it() -> None:
    ended = userport("work", "--storage", "memory://")
    assert (ended.exit_code, ended.errors.count("\n")) == (2, 1)
    assert "memory://" in ended.errors


def test_work_that_cannot_begin_is_one_line(sqlite: str) -> None:
    ended = userport("work", "--storage", "sqlite:////nowhere/at/all.db")
    assert (ended.exit_code, ended.errors.count("\n")) == (1, 1)


def test_jobs_are_listed_without_what_they_are_about(sqlite: str) -> None:
    waiting, failed = stage(sqlite, "mail"), stage(sqlite, "mail", failed=True)
    listed = userport("jobs", "list", "--storage", sqlite)
    due = waiting.due_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert listed.text.splitlines() == [
        f"{waiting.id}  mail  {due}  0  -",
        f"{failed.id}  mail  failed  0  550 No such mailbox.",
    ]
    assert userport("jobs", "list", "--failed", "--storage", sqlite).text.splitlines() == listed.text.splitlines()[1:]
    as_json = [json.loads(line) for line in userport("jobs", "list", "--json", "--storage", sqlite).text.splitlines()]
    common = {"kind": "mail", "attempts": 0}
    assert as_json == [
        {"id": waiting.id, "due_at": due, "failed": False, "last_error": None, **common},
        {"id": failed.id, "due_at": None, "failed": True, "last_error": "550 No such mailbox.", **common},
    ]


def test_failed_jobs_are_retried_by_id_or_all_at_once(sqlite: str) -> None:
    first, second, third = (stage(sqlite, "mail", failed=True) for _ in range(3))
    one = userport("jobs", "retry", first.id, "--storage", sqlite)
    assert (one.exit_code, one.text) == (0, "1 jobs are due now.\n")
    assert [job.failed for job in jobs_of(sqlite)] == [False, True, True]
    again = userport("jobs", "retry", first.id, second.id, "--storage", sqlite)
    assert (again.exit_code, again.errors.count(first.id), again.errors.count(second.id)) == (1, 1, 0)
    assert userport("jobs", "retry", "--all-failed", "--storage", sqlite).text == "1 jobs are due now.\n"
    now = datetime.now(UTC)
    assert all(not job.failed and now - job.due_at < timedelta(minutes=1) for job in jobs_of(sqlite))
    assert userport("jobs", "list", "--failed", "--storage", sqlite).text == ""
    assert third.id in userport("jobs", "list", "--storage", sqlite).text


@pytest.mark.parametrize("arguments", [(), ("--all-failed", "01a1fc20-30e8-7094-95a2-2bfb93d45a3c"), ("7",)])
def test_a_retry_of_nothing_in_particular_is_wrong_usage(sqlite: str, arguments: tuple[str, ...]) -> None:
    ended = userport("jobs", "retry", *arguments, "--storage", sqlite)
    assert (ended.exit_code, ended.errors.count("\n")) == (2, 1)
