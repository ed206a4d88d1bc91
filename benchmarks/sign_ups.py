"""Measure what mail costs a sign-up: `POST /users` in token mode, with and without the mail that it causes.

    python -m benchmarks.sign_ups --rounds 20

Three servers, each with one worker process and its own SQLite file, are measured in turn; the other two are suspended.
One sends no mail; one leaves the jobs to another process (`USERPORT_JOBS=false`); one sends the mails to a local SMTP
server. The sign-ups have no password. It prints JSON, and needs wrk and two cores.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from benchmarks.bench.calls import Call
from benchmarks.bench.cores import leave_worker_core, pin_to_worker_core, processor_seconds
from benchmarks.bench.http_client import wait_until_ready
from benchmarks.bench.smtp_sink import smtp_sink
from benchmarks.bench.tokens import make_key
from benchmarks.bench.wrk import check_wrk, load

_PORT: Final = 8_918
_WARM_UP_SECONDS: Final = 1
_SIGN_UP: Final = Call("POST /users", "POST", "/users", '{"email": "new.%s.%d@example.org", "name": "Ann"}')

_WITHOUT_MAIL: Final = """
from dependency_injector.providers import Object
from entrypoints.container import Container

Container.mails.override(Object(None))
"""
_SERVE: Final = """
import sys
from entrypoints.cli.serve import serve

serve(port=int(sys.argv[1]))
"""

_MODES: Final[Mapping[str, tuple[str, str]]] = {
    "without_mail": (_WITHOUT_MAIL, "false"),
    "worker_elsewhere": ("", "false"),
    "worker_in_process": ("", "true"),
}
"""Code that runs before the server, and its `USERPORT_JOBS`."""


def measure(rounds: int, seconds: int, connections: int) -> Mapping[str, object]:
    check_wrk()
    leave_worker_core()
    found: dict[str, list[tuple[float, float]]] = {mode: [] for mode in _MODES}
    with ExitStack() as ends:
        directory = Path(ends.enter_context(tempfile.TemporaryDirectory(prefix="userport-bench-")))
        smtp_port, _ = ends.enter_context(smtp_sink())
        servers = {
            mode: (_PORT + nth, ends.enter_context(_serving(mode, _PORT + nth, directory, smtp_port)))
            for nth, mode in enumerate(_MODES)
        }
        for _ in range(rounds):
            for mode, (port, process) in servers.items():
                process.send_signal(signal.SIGCONT)
                found[mode].append(_measure(process, port, seconds, connections, directory))
                process.send_signal(signal.SIGSTOP)
    plain = found["without_mail"]
    return {
        "rounds": rounds,
        "seconds": seconds,
        "connections": connections,
        **{
            mode: {
                "requests_a_second": round(statistics.median(rate for rate, _ in measured)),
                "requests_a_second_of_processor_time": round(statistics.median(rate for _, rate in measured)),
                "of_those_without_mail": _ratio(measured, plain, 0),
                "of_those_without_mail_by_processor_time": _ratio(measured, plain, 1),
            }
            for mode, measured in found.items()
        },
    }


def _ratio(measured: list[tuple[float, float]], plain: list[tuple[float, float]], nth: int) -> float:
    """Return the median of the ratios within each round, which a noisy machine disturbs less."""
    pairs = zip(measured, plain, strict=True)
    return round(statistics.median(one[nth] / other[nth] for one, other in pairs), 3)


def _measure(
    process: subprocess.Popen[bytes], port: int, seconds: int, connections: int, directory: Path
) -> tuple[float, float]:
    """Return the requests a second, and those a second of the server's processor time."""
    load(port, _SIGN_UP.script(directory), connections, _WARM_UP_SECONDS, directory)  # a worker sees that it is busy
    start = processor_seconds(process.pid)
    run = load(port, _SIGN_UP.script(directory), connections, seconds, directory)
    used = processor_seconds(process.pid) - start
    if run.failed:
        raise SystemExit(f"{run.failed} sign-ups failed")
    return run.requests_per_second, run.requests_per_second * seconds / used


@contextmanager
def _serving(mode: str, port: int, directory: Path, smtp_port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Serve on a new SQLite file; yield the process, which is suspended (SIGSTOP)."""
    prologue, jobs = _MODES[mode]
    environment = {
        **os.environ,
        "USERPORT_STORAGE": f"sqlite:///{directory}/{mode}.db",
        "USERPORT_SIGNING_KEY": make_key(directory).read_text(),
        "USERPORT_MAIL": f"smtp://127.0.0.1:{smtp_port}",
        "USERPORT_JOBS": jobs,
    }
    (directory / "key.pem").unlink()
    prepare = [sys.executable, "-m", "entrypoints.cli", "storage", "prepare"]
    subprocess.run(prepare, env=environment, check=True, capture_output=True)  # noqa: S603 - our own program
    command = pin_to_worker_core([sys.executable, "-c", prologue + _SERVE, str(port)])
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:  # noqa: S603
        try:
            wait_until_ready(port)
            process.send_signal(signal.SIGSTOP)
            yield process
        finally:
            process.send_signal(signal.SIGCONT)
            process.terminate()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=20)
    arguments.add_argument("--seconds", type=int, default=2)
    arguments.add_argument("--connections", type=int, default=16)
    given = arguments.parse_args()
    print(json.dumps(measure(given.rounds, given.seconds, given.connections)))


if __name__ == "__main__":
    main()
