"""Measure the time and memory that `userport users import` takes for a million users.

    python -m benchmarks.import_million --out benchmarks/results/import.json

Every import has its own storage, created for it and removed afterwards: a SQLite file, or a database on the PostgreSQL
of TEST_POSTGRESQL_URL, otherwise on one that is started with its default settings. The time is measured from the start
of the program to its end; the memory is the maximum of its process.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Final

from benchmarks.bench.environment import machine
from benchmarks.bench.results import write_down
from benchmarks.bench.storages import StorageProvider, databases, files
from benchmarks.make_users import FIELDS, lines

_USERPORT: Final = (sys.executable, "-m", "entrypoints.cli")
_FORMATS: Final = ("ndjson", "csv")
_LIBRARIES: Final = ("sqlalchemy", "asyncpg", "orjson", "uvloop", "uuid-utils")


def users_file(directory: Path, count: int, file_format: str) -> Path:
    """Write valid users without passwords."""
    file = directory / f"users.{file_format}"
    as_csv = file_format == "csv"
    with file.open("wb") as output:
        if as_csv:
            output.write(",".join(FIELDS).encode() + b"\r\n")
        output.writelines(line for line, _ in lines(count, bad=0, seed=1, as_csv=as_csv))
    return file


def imported(file: Path, url: str, count: int) -> dict[str, object]:
    """Import a file into an empty storage, check that it is complete, and return time and memory."""
    subprocess.run([*_USERPORT, "storage", "prepare", "--storage", url], check=True, capture_output=True)  # noqa: S603 - our own program
    command = [*_USERPORT, "users", "import", str(file), "--storage", url]
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE)  # noqa: S603 - our own program
    with process:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        said = process.stdout.read().decode()
        _, status, used = os.wait4(process.pid, 0)  # of this child process
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - begun
    if (process.returncode, said) != (0, f"{count} added, 0 already there, 0 refused\n"):
        raise SystemExit(f"the import ended with {process.returncode}: {said}")
    return {
        "users_per_second": round(count / seconds),
        "seconds": round(seconds, 1),
        "processor_seconds": round(used.ru_utime + used.ru_stime, 1),
        "peak_mebibytes": round(used.ru_maxrss / 1024, 1),
    }


def measured(provider: StorageProvider, made: Sequence[Path], count: int, rounds: int) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for number in range(rounds):
        for file in made:
            file_format = file.suffix.removeprefix(".")
            took = imported(file, provider.new(f"{file_format}{number}"), count)
            found.append({"storage": provider.version, "format": file_format, "users": count, **took})
            print(*(f"{name}: {value}" for name, value in found[-1].items()), sep="  ", file=sys.stderr)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1_000_000, help="how many users (default: 1000000)")
    parser.add_argument("--rounds", type=int, default=1, help="how often to import each file (default: 1)")
    parser.add_argument("--directory", type=Path, help="where to put files; by default, where temporary ones go")
    parser.add_argument("--out", type=Path, help="where to write the result as JSON")
    given = parser.parse_args()
    with ExitStack() as stack:
        directory = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="userport-import-", dir=given.directory))
        )
        made = [users_file(directory, given.count, file_format) for file_format in _FORMATS]
        found = {
            "machine": {name: fact for name, fact in machine(directory).items() if not name.startswith("core_of")},
            "versions": {"python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}},
            "imports": [
                *measured(stack.enter_context(files(given.directory)), made, given.count, given.rounds),
                *measured(stack.enter_context(databases(None)), made, given.count, given.rounds),
            ],
        }
    write_down(found, given.out)


if __name__ == "__main__":
    main()
