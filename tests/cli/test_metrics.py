"""`GET /metrics` of `userport serve` and `userport work`."""

import gzip
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import httpx
import pytest

from entrypoints.metrics_server import serving_metrics
from entrypoints.settings import Settings
from tests.cli.commands import PROGRAM, environment, userport
from tests.cli.serving import serving, unpooled, wait_until_ready
from tests.cli.test_work import stage
from tests.deploy.promtool import promtool
from tests.http.scrapes import series_of
from tests.http.sign_in_helpers import SIGNING_KEY

_PREFIX: Final = "userport serves metrics: "


def scrape(address: str) -> Mapping[str, float]:
    response = unpooled.get(address)
    assert response.status_code == 200
    return series_of(response.text)


def wait_for(address: str, is_there: Callable[[Mapping[str, float]], bool]) -> Mapping[str, float]:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        series = scrape(address)
        if is_there(series):
            return series
        time.sleep(0.2)
    pytest.fail(f"the metrics remain {series}")


def address_of_metrics(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    return next(line for line in process.stderr if line.startswith(_PREFIX)).removeprefix(_PREFIX).strip()


def directories_of(process_id: int) -> list[Path]:
    return list(Path("/dev/shm").glob(f"userport-metrics-{process_id}-*"))  # noqa: S108


@pytest.mark.parametrize("command", [("serve", "--port", "0"), ("work",)])
def test_a_metrics_port_in_use_is_one_line_and_exit_code_2(sqlite: str, command: tuple[str, ...]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        refused = userport(*command, "--storage", sqlite, USERPORT_METRICS_PORT=port)
    assert (refused.exit_code, refused.errors.count("\n")) == (2, 1)
    assert port in refused.errors
    assert "USERPORT_METRICS_PORT" in refused.errors


@pytest.mark.parametrize("host", ["192.0.2.1", "example.invalid"])
def test_an_address_of_another_machine_is_one_line_and_exit_code_2(host: str) -> None:
    command = ("serve", "--port", "0", "--storage", "memory://")
    refused = userport(*command, USERPORT_METRICS_PORT="0", USERPORT_METRICS_HOST=host)
    assert (refused.exit_code, refused.errors.count("\n")) == (2, 1)
    assert "USERPORT_METRICS_HOST" in refused.errors


def test_only_get_and_head_of_one_path_are_served_and_the_directory_is_private_and_removed() -> None:
    with serving_metrics(Settings(metrics_port=0)) as server:
        assert server is not None
        (directory,) = directories_of(os.getpid())
        assert directory.stat().st_mode & 0o777 == 0o700
        host, port = server.socket.getsockname()
        url = f"http://{host}:{port}"
        page = unpooled.get(f"{url}/metrics?x=1")
        assert page.headers["content-type"].startswith("text/plain; version=")
        assert "process_cpu_seconds_total" in page.text
        assert "python_info" in page.text
        head = unpooled.head(f"{url}/metrics")
        assert (head.status_code, head.content) == (200, b"")
        assert [unpooled.get(f"{url}{path}").status_code for path in ("/", "/metrics/", "/metrics/../x")] == [404] * 3
        refused = unpooled.request("BREW", f"{url}/metrics")
        assert (refused.status_code, refused.headers["allow"], "BREW" in refused.text) == (405, "GET, HEAD", False)
        assert unpooled.post(f"{url}/metrics").status_code == 405
        with httpx.stream("GET", f"{url}/metrics", headers={"accept-encoding": "gzip"}) as packed:
            assert b"userport_build_info" in gzip.decompress(b"".join(packed.iter_raw()))
        versions = unpooled.get(f"{url}/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})
        assert versions.text.endswith("# EOF\n")
    assert directories_of(os.getpid()) == []


@pytest.mark.slow
def test_workers_are_one_view_that_keeps_what_a_killed_worker_counted(sqlite: str) -> None:
    settings = {"USERPORT_METRICS_PORT": "0", "USERPORT_SIGNING_KEY": SIGNING_KEY}
    with serving(sqlite, "--workers", "2", **settings) as (process, url):
        address = address_of_metrics(process)
        wait_until_ready(url)
        for _ in range(20):
            assert unpooled.get(f"{url}/.well-known/jwks.json").status_code == 200
        series = scrape(address)
        name = 'userport_http_requests_total{method="GET",route="/.well-known/jwks.json",status="200"}'
        assert series[name] == 20
        assert not any(key.startswith(("process_", "python_")) for key in series)
        (directory,) = directories_of(process.pid)
        (victim, *_) = [int(path.stem.rpartition("_")[2]) for path in directory.glob("counter_*.db")]
        os.kill(victim, signal.SIGKILL)
        deadline = time.monotonic() + 60
        while list(directory.glob(f"*_{victim}.db")) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not list(directory.glob(f"*_{victim}.db"))
        assert scrape(address)[name] == 20
        assert promtool("check", "metrics", stdin=unpooled.get(address).content) == (0, "")
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
    assert directories_of(process.pid) == []


@pytest.mark.slow
def test_work_reports_the_jobs_that_it_did(sqlite: str) -> None:
    stage(sqlite, "unheard-of")
    variables = environment(USERPORT_METRICS_PORT="0", USERPORT_STORAGE=sqlite)
    with subprocess.Popen((*PROGRAM, "work"), env=variables, text=True, stderr=subprocess.PIPE) as process:  # noqa: S603
        try:
            address = address_of_metrics(process)
            retried = 'userport_jobs_total{kind="OTHER",outcome="retried"}'
            series = wait_for(address, lambda series: series.get(retried) == 1 and "userport_jobs_due" in series)
            assert "process_cpu_seconds_total" in series
        finally:
            process.terminate()
