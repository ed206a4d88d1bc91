"""Assign processes to cores, so that the worker has one to itself."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

WORKER: Final = 0
OTHERS: Final = 1
"""The core of the load generator, of this program, and of a database server that it starts."""


def leave_worker_core() -> None:
    """Move this process, and all its future children, off the worker's core.

    Raises `SystemExit` if there is no other core.
    """
    if not {WORKER, OTHERS} <= os.sched_getaffinity(0):
        raise SystemExit(f"this needs the cores {WORKER} and {OTHERS}")
    os.sched_setaffinity(0, {OTHERS})


def pin_to_worker_core(command: Sequence[str]) -> Sequence[str]:
    return ["taskset", "--cpu-list", str(WORKER), *command]


def processor_seconds(pid: int) -> float:
    """Return the processor time that a process has used."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
