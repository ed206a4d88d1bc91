"""Measure background jobs: their throughput, the cost of an idle worker, and their effect on requests.

    python -m benchmarks.jobs drain --storage sqlite:////tmp/jobs.db --jobs 10000
    python -m benchmarks.jobs mail --storage sqlite:////tmp/jobs.db --jobs 10000
    python -m benchmarks.jobs idle --storage sqlite:////tmp/jobs.db --jobs 1000000
    python -m benchmarks.jobs requests --storage sqlite:////tmp/jobs.db --rounds 5

Each prints JSON. The storage is prepared, and should be empty. `mail` starts an SMTP server. `requests` needs wrk and
two cores.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from adapters.runtime.system import SystemClock, Uuid7Source
from application.jobs.queue import JobQueue
from application.jobs.runner import JobRunner
from application.jobs.traffic import Traffic
from application.jobs.worker import JobWorker
from application.languages import Language
from benchmarks.bench.calls import ONE_USER
from benchmarks.bench.cores import leave_worker_core, pin_to_worker_core, processor_seconds
from benchmarks.bench.http_client import request, wait_until_ready
from benchmarks.bench.smtp_sink import smtp_sink
from benchmarks.bench.tokens import make_key
from benchmarks.bench.wrk import check_wrk, load
from domain.jobs import JOBS, Job
from domain.storage import Storage
from domain.user import User
from domain.values import Email, JobId, Name, UserId
from entrypoints.cli.session import run_async
from entrypoints.container import Container
from entrypoints.environment import Auth
from entrypoints.settings import Settings
from entrypoints.storage_by_url import open_storage

_KIND: Final = "sink"
_IN_A_COMMIT: Final = 500
_IDLE_SECONDS: Final = 20.0
_POLL_SECONDS: Final = 0.05
_CONNECTIONS: Final = 16
_IDS: Final = Uuid7Source()

_SERVE: Final = """
import sys
from dependency_injector.providers import Dict, Object
from entrypoints.cli.serve import serve
from entrypoints.cli.session import run_async
from entrypoints.container import Container

sink = open(sys.argv[1], "ab", buffering=0)

async def handle(job):
    sink.write(f"{job.id}\\n".encode())

Container.job_handlers.override(Dict(sink=Object(handle)))
serve(port=int(sys.argv[2]))
"""
"""`userport serve` with a handler for the jobs that are staged here."""


async def stage(storage: Storage, jobs: int, delay: timedelta = timedelta(0)) -> None:
    """Add jobs that are due after a delay."""
    for start in range(0, jobs, _IN_A_COMMIT):
        unit = storage.unit_of_work()
        for _ in range(min(_IN_A_COMMIT, jobs - start)):
            payload = {"template": "verify-email", "user": _IDS.new(JobId), "language": "en"}
            due_at = datetime.now(UTC) + delay
            unit.records(JOBS).add(Job.create(id=_IDS.new(JobId), kind=_KIND, payload=payload, due_at=due_at))
        await unit.commit()


async def drain(url: str, jobs: int) -> Mapping[str, object]:
    """Return the time that one worker takes for jobs that each append a line to a file."""
    storage = open_storage(url)
    await storage.prepare()
    await stage(storage, jobs)
    with tempfile.NamedTemporaryFile(buffering=0) as sink:

        async def handle(job: Job) -> None:
            sink.write(f"{job.id}\n".encode())

        queue = JobQueue()
        worker = JobWorker(JobRunner(storage, SystemClock(), {_KIND: handle}), queue, Traffic())
        measured = await _drain(storage, worker, queue, jobs)
    await storage.close()
    return measured


async def mail(url: str, jobs: int) -> Mapping[str, object]:
    """Return the time that one worker takes for the verification mails of new users, to a local SMTP server."""
    with tempfile.TemporaryDirectory() as directory, smtp_sink() as (port, sink):
        key = SecretStr(str(make_key(Path(directory))))
        container = Container(
            settings=Settings(storage=url, auth=Auth.TOKEN, signing_key=key, mail=f"smtp://127.0.0.1:{port}")
        )
        storage = container.storage()
        await storage.prepare()
        await _stage_mails(container, jobs)
        measured = await _drain(storage, container.job_worker(), container.jobs(), jobs)
        await container.mail_sender().close()
        await storage.close()
        output, _ = sink.communicate()
    if int(output) != jobs:
        raise SystemExit(f"{int(output)} mails arrived")
    return measured


async def _stage_mails(container: Container, jobs: int) -> None:
    for start in range(0, jobs, _IN_A_COMMIT):
        unit = container.storage().unit_of_work()
        for _ in range(min(_IN_A_COMMIT, jobs - start)):
            user_id = _IDS.new(UserId)
            user = User.register(
                id=user_id,
                email=Email.parse(f"{user_id}@example.org"),
                name=Name.parse("Ann"),
                now=container.clock().now(),
            )
            unit.users.add(user)
            container.mail_queue().stage_verification(unit, user, Language.ENGLISH)
        await unit.commit()


async def _drain(storage: Storage, worker: JobWorker, queue: JobQueue, jobs: int) -> Mapping[str, object]:
    task = asyncio.create_task(worker.run())
    queue.on_staged()
    start, processor_start = time.perf_counter(), time.process_time()
    while await storage.unit_of_work().records(JOBS).page(limit=1):  # noqa: ASYNC110 - others stage and remove them
        await asyncio.sleep(_POLL_SECONDS)
    seconds, processor_seconds = time.perf_counter() - start, time.process_time() - processor_start
    worker.stop()
    await task
    return {
        "jobs": jobs,
        "seconds": round(seconds, 2),
        "jobs_a_second": round(jobs / seconds),
        "jobs_a_second_of_processor_time": round(jobs / processor_seconds),
    }


async def idle(url: str, jobs: int) -> Mapping[str, object]:
    """Return the processor time of an idle worker with an empty queue, and with a queue of jobs that are not due."""
    storage = open_storage(url)
    await storage.prepare()
    empty = await _idle_milliseconds(storage)
    await stage(storage, jobs, timedelta(days=365))
    full = await _idle_milliseconds(storage)
    await storage.close()
    return {
        "jobs": jobs,
        "seconds": _IDLE_SECONDS,
        "milliseconds_of_processor_time_a_second": {"without_jobs": empty, "with_jobs_not_due": full},
    }


async def _idle_milliseconds(storage: Storage) -> float:
    async def handle(_: Job) -> None:
        raise AssertionError("no job is due")

    worker = JobWorker(JobRunner(storage, SystemClock(), {_KIND: handle}), JobQueue(), Traffic())
    task = asyncio.create_task(worker.run())
    await asyncio.sleep(2)
    start = time.process_time()
    await asyncio.sleep(_IDLE_SECONDS)
    used = time.process_time() - start
    worker.stop()
    await task
    return round(1000 * used / _IDLE_SECONDS, 3)


def requests(url: str, jobs: int, rounds: int, seconds: int) -> Mapping[str, object]:
    """Return the GETs that one process serves without a worker, with an idle one, and with one that has a backlog."""
    check_wrk()
    leave_worker_core()
    found: dict[str, list[tuple[float, float]]] = {"without_worker": [], "idle_worker": [], "backlog": []}
    done: list[float] = []
    with tempfile.TemporaryDirectory(prefix="userport-bench-") as name:
        directory = Path(name)
        for _ in range(rounds):
            for mode, measured in found.items():
                sink = directory / "sink"
                sink.unlink(missing_ok=True)
                if mode == "backlog":
                    asyncio.run(_fill(url, jobs))
                with _serving(url, sink, jobs=mode != "without_worker") as (port, process):
                    measured.append(_measure(port, process, directory, seconds))
                    if mode == "backlog":
                        done.append(len(sink.read_text().splitlines()) / (seconds + 1))
                asyncio.run(_remove_jobs(url))
    per_cpu = {mode: statistics.median(each for _, each in measured) for mode, measured in found.items()}
    return {
        "rounds": rounds,
        "seconds": seconds,
        "jobs_a_second_in_backlog": round(statistics.median(done), 1),
        "requests_a_second": {
            mode: round(statistics.median(each for each, _ in measured)) for mode, measured in found.items()
        },
        "requests_a_second_of_processor_time": {mode: round(each) for mode, each in per_cpu.items()},
        "of_those_without_worker": {mode: round(each / per_cpu["without_worker"], 3) for mode, each in per_cpu.items()},
    }


async def _fill(url: str, jobs: int) -> None:
    storage = open_storage(url)
    await storage.prepare()
    await stage(storage, jobs)
    await storage.close()


async def _remove_jobs(url: str) -> None:
    storage = open_storage(url)
    while jobs := await storage.unit_of_work().records(JOBS).page(limit=_IN_A_COMMIT):
        unit = storage.unit_of_work()
        for job in jobs:
            unit.records(JOBS).remove(job)
        await unit.commit()
    await storage.close()


def _measure(port: int, process: subprocess.Popen[bytes], directory: Path, seconds: int) -> tuple[float, float]:
    """Return the requests a second, and those a second of the server's processor time, which others do not lengthen."""
    created = request(port, "POST", "/users", {"email": f"{_IDS.new(JobId)}@example.org", "name": "Ann"})
    paths = directory / "paths"
    paths.write_text(f"/users/{created.json()['id']}\n")
    script = ONE_USER.script(paths)
    load(port, script, _CONNECTIONS, 1, directory)
    start = processor_seconds(process.pid)
    run = load(port, script, _CONNECTIONS, seconds, directory)
    used = processor_seconds(process.pid) - start
    return run.requests_per_second, run.requests_per_second * seconds / used


@contextmanager
def _serving(url: str, sink: Path, *, jobs: bool) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    port = 8_917
    command = pin_to_worker_core([sys.executable, "-c", _SERVE, str(sink), str(port)])
    environment = {**os.environ, "USERPORT_STORAGE": url, "USERPORT_JOBS": str(jobs).lower()}
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:  # noqa: S603
        try:
            wait_until_ready(port)
            yield port, process
        finally:
            process.terminate()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("measurement", choices=["drain", "mail", "idle", "requests"])
    arguments.add_argument("--storage", required=True, metavar="URL")
    arguments.add_argument("--jobs", type=int, default=10_000)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--seconds", type=int, default=5)
    given = arguments.parse_args()
    if given.measurement == "drain":
        print(json.dumps(run_async(drain(given.storage, given.jobs))))
    elif given.measurement == "mail":
        print(json.dumps(run_async(mail(given.storage, given.jobs))))
    elif given.measurement == "idle":
        print(json.dumps(run_async(idle(given.storage, given.jobs))))
    else:
        print(json.dumps(requests(given.storage, given.jobs, given.rounds, given.seconds)))


if __name__ == "__main__":
    main()
