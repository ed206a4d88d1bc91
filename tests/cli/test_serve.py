import os
import resource
import signal
import socket
import subprocess
import time
from pathlib import Path

import httpx
import pytest

from tests.cli.commands import userport
from tests.cli.serving import serving, unpooled, wait_until_ready, workers

pytestmark = pytest.mark.slow


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, errors = process.communicate(timeout=30)
    return process.returncode, errors


def is_running(pid: int) -> bool:
    try:
        # A dead process that its new parent has not waited for is a zombie.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("wanted", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("options", [(), ("--workers", "2")])
def test_it_serves_an_embedded_storage_at_once_and_ends_well(
    sqlite: str, wanted: signal.Signals, options: tuple[str, ...]
) -> None:
    with serving(sqlite, *options) as (process, address):
        wait_until_ready(address)
        created = unpooled.post(f"{address}/users", json={"email": "ann@example.com", "name": "Ann"})
        assert created.status_code == 201
        assert "server" not in created.headers
        process.send_signal(wanted)
        assert ended(process) == (0, "")


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux lets one process limit another's files")
def test_who_comes_while_the_disk_is_full_can_come_again_when_it_is_not(sqlite: str) -> None:
    ann = {"email": "ann@example.com", "name": "Ann"}
    with serving(sqlite) as (process, address):
        wait_until_ready(address)
        before = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (4096, before[1]))
        refused = unpooled.post(f"{address}/users", json=ann)
        assert (refused.status_code, refused.json()["code"]) == (503, "storage_unavailable")
        assert unpooled.get(f"{address}/users").json() == []
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, before)
        assert unpooled.post(f"{address}/users", json=ann).status_code == 201


@pytest.mark.parametrize("wanted", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("options", [(), ("--workers", "2")])
def test_a_signal_while_it_starts_ends_it_well(sqlite: str, wanted: signal.Signals, options: tuple[str, ...]) -> None:
    for _ in range(3):
        with serving(sqlite, *options) as (process, _):
            process.send_signal(wanted)
            assert ended(process) == (0, "")


def test_memory_serves_until_it_ends() -> None:
    with serving("memory://") as (process, address):
        wait_until_ready(address)
        process.terminate()
        assert ended(process) == (0, "")


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the workers through /proc")
def test_a_worker_that_is_killed_is_replaced(sqlite: str) -> None:
    with serving(sqlite, "--workers", "2") as (process, address):
        wait_until_ready(address)
        first = workers(process)
        assert len(first) == 2
        victim = first.pop()
        os.kill(victim, signal.SIGKILL)
        while victim in workers(process) or len(workers(process)) < 2:
            time.sleep(0.1)
        wait_until_ready(address)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the workers through /proc")
def test_workers_end_when_the_process_that_started_them_is_killed(sqlite: str) -> None:
    with serving(sqlite, "--workers", "2") as (process, address):
        wait_until_ready(address)
        left = workers(process)
        process.kill()
        process.wait()
        deadline = time.monotonic() + 30
        while any(is_running(worker) for worker in left):
            assert time.monotonic() < deadline
            time.sleep(0.1)
    again = ("--port", str(httpx.URL(address).port))
    with serving(sqlite, *again) as (_, same_address):
        assert same_address == address
        wait_until_ready(address)


def test_a_prepared_server_is_served_and_an_unprepared_one_is_not(unprepared: str) -> None:
    if not unprepared.startswith("sqlite"):
        refused = userport("serve", "--port", "0", "--storage", unprepared)
        assert (refused.exit_code, refused.errors.count("\n")) == (1, 1)
        assert "userport storage prepare" in refused.errors
        userport("storage", "prepare", "--storage", unprepared)
    with serving(unprepared) as (_, address):
        wait_until_ready(address)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.invalid", "", "*"])  # noqa: S104
def test_open_mode_admits_no_other_machine(host: str) -> None:
    refused = userport("serve", "--port", "0", "--storage", "memory://", "--host", host)
    assert (refused.exit_code, refused.errors.count("\n")) == (2, 1)
    assert "127.0.0.1" in refused.errors


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_port_in_use_is_reported_in_one_line(host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = userport("serve", "--port", port, "--storage", "memory://", "--host", host)
    assert (refused.exit_code, refused.errors.count("\n")) == (1, 1)
    assert str(port) in refused.errors


def test_not_every_web_page_may_do_anything() -> None:
    refused = userport("serve", "--storage", "memory://", USERPORT_CORS_ORIGINS="*")
    assert (refused.exit_code, refused.errors.count("\n")) == (2, 1)
    assert "USERPORT_CORS_ORIGINS" in refused.errors


def test_memory_has_one_worker_only() -> None:
    refused = userport("serve", "--storage", "memory://", "--workers", "2")
    assert (refused.exit_code, refused.errors.count("\n")) == (2, 1)


def test_a_wrong_storage_url_is_reported_in_one_line() -> None:
    refused = userport("serve", "--storage", "memory://somewhere")
    assert (refused.exit_code, refused.errors.count("\n")) == (2, 1)
