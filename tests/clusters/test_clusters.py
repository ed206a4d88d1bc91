"""No acknowledged write is lost and no answer is wrong while servers fail under several service processes."""

import asyncio
import os
import subprocess
import threading
from contextlib import ExitStack
from typing import Final, Self

import httpx
import pytest

from tests.cli.commands import userport
from tests.cli.serving import serving, wait_until_ready
from tests.clusters.history import losses, with_operations, wrong_answers
from tests.clusters.results import MAX_SECONDS_UNTIL_WRITES, RECORDED, Result, load, record
from tests.clusters.table import table
from tests.clusters.topologies import TOPOLOGIES, Fault
from tests.clusters.workers import Workers
from tests.http.sign_in_helpers import PASSWORD, SIGNING_KEY, tokens_of
from tests.servers.choice import skip_unless_chosen

pytestmark = pytest.mark.cluster

CALM_SECONDS: Final = 3
"""How long the workers work at least before the fault, and after the cluster is whole again."""

BUSY_SECONDS: Final = 60
"""How long a busy machine may take until each kind of operation has succeeded."""

DRIVER_ERRORS: Final = ("Traceback", "unexpected failure (")
"""What a log has of a driver's exception that no adapter translated."""

VARIABLES: Final = {
    "USERPORT_SIGNING_KEY": SIGNING_KEY,
    "USERPORT_SIGN_IN_FAILURES_PER_ACCOUNT": "0",
    "USERPORT_SIGN_IN_FAILURES_PER_ADDRESS": "0",
}


@pytest.mark.parametrize(
    ("name", "fault"), [(name, fault) for name, topology in TOPOLOGIES.items() for fault in topology.faults]
)
async def test_nothing_that_was_answered_is_lost_or_wrong(name: str, fault: Fault) -> None:
    skip_unless_chosen(TOPOLOGIES[name].kind)
    with ExitStack() as stack:
        topology = stack.enter_context(TOPOLOGIES[name].start())
        await asyncio.to_thread(prepare, topology.urls[0])
        processes = [stack.enter_context(serving(url, **VARIABLES)) for url in topology.urls]
        logs = [stack.enter_context(Log(process)) for process, _ in processes]
        addresses = [address for _, address in processes]
        for address in addresses:
            wait_until_ready(address)
        async with httpx.AsyncClient(base_url=addresses[0]) as client:
            tokens = await tokens_of(client, "root@example.org")
        workers, stop = Workers(addresses, tokens["access_token"]), asyncio.Event()
        working = asyncio.create_task(workers.run(stop))
        await asyncio.sleep(CALM_SECONDS)
        async with asyncio.timeout(BUSY_SECONDS):
            await workers.wait_for_all_kinds(since=0)
        accepted = await asyncio.to_thread(topology.fail, fault)
        await asyncio.sleep(CALM_SECONDS)
        async with asyncio.timeout(BUSY_SECONDS):
            await workers.wait_for_all_kinds(since=max(accepted))
        stop.set()
        await working
        for address in addresses:
            wait_until_ready(address)
        await workers.refresh_all()
        state = await workers.state()
    lost = losses(workers.history, state)
    wrong = wrong_answers(workers.history, state, durable_reads=topology.durable_reads)
    result = Result(
        topology.version,
        sum(each.is_acknowledged and each.kind != "read" for each in workers.history),
        len(lost),
        len(wrong),
        round(workers.seconds_until_writes(accepted), 1),
    )
    print(name, fault, result, sep="\n")  # noqa: T201
    if "RECORD_CLUSTER_RESULTS" in os.environ:
        record(name, fault, result)
        RECORDED.put_into_page(table(load()))
    anomalies = [with_operations(each, workers.history) for each in (*lost, *wrong)]
    has_driver_error = any(sign in log.text() for log in logs for sign in DRIVER_ERRORS)
    if anomalies or has_driver_error:
        pytest.fail("\n".join([*anomalies, *(log.text() for log in logs)]), pytrace=False)  # in full, unlike an assert
    assert result.seconds_until_writes <= MAX_SECONDS_UNTIL_WRITES


def prepare(url: str) -> None:
    """Prepare a storage, and add an admin."""
    done = userport("storage", "prepare", USERPORT_STORAGE=url)
    assert done.exit_code == 0, done.errors
    login = ("--email", "root@example.org", "--name", "Root")
    done = userport("users", "add", "--admin", *login, pipe=PASSWORD.encode(), USERPORT_STORAGE=url)
    assert done.exit_code == 0, done.errors


class Log:
    """Reads what a process writes to its standard error, which would block it otherwise, and ends the process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        self._process = process
        self._lines: list[str] = []
        self._thread = threading.Thread(target=self._lines.extend, args=[process.stderr])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._thread.join()

    def text(self) -> str:
        """Return all of it, once the process has ended."""
        return "".join(self._lines)
