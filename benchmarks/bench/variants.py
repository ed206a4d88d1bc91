"""Compare servers that differ in their settings, in alternating rounds."""

import argparse
import os
import signal
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmarks.bench.calls import Call
from benchmarks.bench.cores import leave_worker_core, pin_to_worker_core, processor_seconds
from benchmarks.bench.http_client import wait_until_ready
from benchmarks.bench.wrk import check_wrk, load

_PORT: Final = 8_918
_WARM_UP_SECONDS: Final = 1
_SERVE: Final = """
import sys
from entrypoints.cli.serve import serve

serve(port=int(sys.argv[1]))
"""


@dataclass(frozen=True, slots=True)
class Variant:
    """A server: its environment, and code that runs before it starts."""

    environment: Mapping[str, str] = field(default_factory=dict)
    prologue: str = ""


@dataclass(frozen=True, slots=True)
class Load:
    """The number of rounds, the seconds of each run, and the number of connections."""

    rounds: int
    seconds: int
    connections: int


def given_load(description: str | None) -> Load:
    """Return what the command line asks for."""
    arguments = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=20)
    arguments.add_argument("--seconds", type=int, default=2)
    arguments.add_argument("--connections", type=int, default=16)
    return Load(**vars(arguments.parse_args()))


def compare(
    variants: Mapping[str, Variant], call: Callable[[int], Call], given: Load, directory: Path
) -> Mapping[str, Mapping[str, float]]:
    """Return each variant's requests a second, and their ratio to the first variant's: medians over all rounds.

    Each variant has one worker process and a SQLite file of its own. They are new in each round, because two processes
    with the same settings differ by several per cent. While one is measured, the others are suspended. Every second
    round goes through them in reverse. `call` returns the call to measure at a port.
    """
    check_wrk()
    leave_worker_core()
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in variants}
    for number in range(given.rounds):
        with ExitStack() as ends:
            servers: dict[str, tuple[int, Call, subprocess.Popen[bytes]]] = {}
            for port, (name, variant) in enumerate(variants.items(), _PORT):
                process = ends.enter_context(_serving(variant, port, directory / f"{name}-{number}.db"))
                servers[name] = port, call(port), process
                process.send_signal(signal.SIGSTOP)
            order = list(servers.items())
            for name, (port, measured, process) in reversed(order) if number % 2 else order:
                process.send_signal(signal.SIGCONT)
                found[name].append(_measure(process, port, measured, given, directory))
                process.send_signal(signal.SIGSTOP)
    base = next(iter(found.values()))
    return {
        name: {
            "requests_a_second": round(statistics.median(rate for rate, _ in rates)),
            "requests_a_second_of_processor_time": round(statistics.median(rate for _, rate in rates)),
            "ratio": _ratio(rates, base, 0),
            "ratio_by_processor_time": _ratio(rates, base, 1),
        }
        for name, rates in found.items()
    }


def _ratio(rates: list[tuple[float, float]], base: list[tuple[float, float]], nth: int) -> float:
    """Return the median of the ratios within each round, which a noisy machine disturbs less."""
    return round(statistics.median(one[nth] / other[nth] for one, other in zip(rates, base, strict=True)), 3)


def _measure(
    process: subprocess.Popen[bytes], port: int, call: Call, given: Load, directory: Path
) -> tuple[float, float]:
    """Return the requests a second, and those a second of the server's processor time."""
    load(port, call.script(directory), given.connections, _WARM_UP_SECONDS, directory)
    start = processor_seconds(process.pid)
    run = load(port, call.script(directory), given.connections, given.seconds, directory)
    used = processor_seconds(process.pid) - start
    if run.failed:
        raise SystemExit(f"{run.failed} requests failed")
    return run.requests_per_second, run.requests_per_second * given.seconds / used


@contextmanager
def _serving(variant: Variant, port: int, file: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Serve on a new SQLite file; yield the process."""
    environment = {**os.environ, "USERPORT_STORAGE": f"sqlite:///{file}", **variant.environment}
    prepare = [sys.executable, "-m", "entrypoints.cli", "storage", "prepare"]
    subprocess.run(prepare, env=environment, check=True, capture_output=True)  # noqa: S603 - our own program
    command = pin_to_worker_core([sys.executable, "-c", variant.prologue + _SERVE, str(port)])
    log = file.with_suffix(".log")
    with log.open("wb") as errors, subprocess.Popen(command, env=environment, stderr=errors) as process:  # noqa: S603
        try:
            wait_until_ready(port)
            yield process
        finally:
            process.send_signal(signal.SIGCONT)
            process.terminate()
