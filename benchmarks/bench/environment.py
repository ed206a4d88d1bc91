"""What the figures depend on besides the code: the machine and all versions."""

import json
import os
import platform
import shutil
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final

from benchmarks.bench import cores
from benchmarks.bench.app import RIVALS_PYTHON
from benchmarks.bench.wrk import wrk_version

_OF_USERPORT: Final = (
    *("fastapi", "starlette", "pydantic", "uvicorn", "uvloop", "httptools", "orjson"),
    *("sqlalchemy", "asyncpg", "dependency-injector", "pyjwt", "cryptography"),
)
_OF_RIVALS: Final = (
    *("fastapi", "starlette", "pydantic", "uvicorn", "uvloop", "httptools", "litestar", "msgspec"),
    *("advanced-alchemy", "sqlalchemy", "aiosqlite", "asyncpg", "psycopg"),
)
_ASK_VERSIONS: Final = (
    "import json, sys, importlib.metadata as m; print(json.dumps([m.version(p) for p in sys.argv[1:]]))"
)


def machine(directory: Path) -> Mapping[str, object]:
    """Describe the machine, the disk of a directory, and the present load."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "core_of_the_worker": cores.WORKER,
        "core_of_the_others": cores.OTHERS,
        "memory_gibibytes": round(memory / 2**30, 1),
        "system": platform.platform(),
        "load_before": round(os.getloadavg()[0], 2),
        "milliseconds_to_sync_a_file": round(1000 * _seconds_to_sync(directory), 3),
    }


def versions() -> Mapping[str, object]:
    return {
        "python": platform.python_version(),
        "wrk": wrk_version(),
        "userport": _revision(),
        "libraries_of_userport": {name: version(name) for name in _OF_USERPORT},
        "libraries_of_rivals": _versions_of_rivals(_OF_RIVALS),
    }


def _revision() -> str:
    """Return the commit, or the version outside of a clone."""
    if shutil.which("git") is None:
        return version("userport")
    command = ["git", "describe", "--always", "--dirty"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - found on PATH
    return done.stdout.strip() or version("userport")


def _versions_of_rivals(names: Sequence[str]) -> Mapping[str, str]:
    command = [str(RIVALS_PYTHON), "-c", _ASK_VERSIONS, *names]
    found: list[str] = json.loads(subprocess.check_output(command))  # noqa: S603 - our own program
    return dict(zip(names, found, strict=True))


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


def _seconds_to_sync(directory: Path) -> float:
    took: list[float] = []
    file = directory / "synced"
    with file.open("wb", buffering=0) as synced:
        for _ in range(50):
            begun = time.perf_counter()
            synced.write(b"x" * 4096)
            os.fsync(synced.fileno())
            took.append(time.perf_counter() - begun)
    file.unlink()
    return statistics.median(took)
