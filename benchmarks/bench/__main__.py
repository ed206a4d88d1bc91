"""Compare userport with other apps that store the same users: alternately, in one run, on one machine.

    python -m benchmarks.bench --out benchmarks/results/comparison.json

For a quick run: --seconds 1 --rounds 1 --users 2000 --only userport tutorial. It needs wrk, two cores, PostgreSQL or
its URL, and the rivals' environment, which `make bench` creates.
"""

import argparse
import json
import tempfile
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from benchmarks.bench.app import RIVALS_PYTHON
from benchmarks.bench.apps import APPS, ORMS, Checkout
from benchmarks.bench.calls import CALLS
from benchmarks.bench.cores import leave_worker_core
from benchmarks.bench.environment import machine, versions
from benchmarks.bench.results import StoreResults, write_down
from benchmarks.bench.rounds import Comparison, Plan
from benchmarks.bench.storages import StorageProvider, databases, files
from benchmarks.bench.table import tables
from benchmarks.bench.wrk import check_wrk

_MIN_USERS: Final = 200


def main() -> None:
    given = _arguments()
    check_wrk()
    if not RIVALS_PYTHON.exists():
        raise SystemExit("the rivals' environment is missing: make bench makes it")
    leave_worker_core()
    stores: dict[str, AbstractContextManager[StorageProvider]] = {
        "sqlite": files(given.directory),
        "postgresql": databases(given.postgresql),
    }
    found: dict[str, StoreResults] = {}
    with tempfile.TemporaryDirectory(prefix="userport-bench-", dir=given.directory) as directory:
        environment = {"machine": machine(Path(directory)), "versions": versions()}
        print(json.dumps(environment["machine"], ensure_ascii=False), flush=True)
        for store in given.stores:
            own = Path(directory, store)
            own.mkdir()
            with stores[store] as provider:
                found[store] = Comparison(_plan(given, store), provider, own).run()
            print(f"\n{tables(found[store])}", flush=True)
    settings = {name: getattr(given, name) for name in ("users", "rounds", "seconds", "connections")}
    results = {**environment, "settings": settings, "stores": {store: on.summary() for store, on in found.items()}}
    write_down(results, given.out)


def _arguments() -> argparse.Namespace:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--out", type=Path, help="where to write the result as JSON")
    arguments.add_argument("--rounds", type=int, default=3, help="medians are of so many (default: 3)")
    arguments.add_argument("--seconds", type=int, default=5, help="how long each measurement takes (default: 5)")
    arguments.add_argument("--users", type=int, default=100_000, help="how many there are (default: 100000)")
    arguments.add_argument("--connections", type=int, nargs="+", default=[16, 64], help="(default: 16 64)")
    arguments.add_argument("--stores", nargs="+", choices=["sqlite", "postgresql"], default=["sqlite", "postgresql"])
    names, orms = ([app.name for app in apps] for apps in (APPS, ORMS))
    help_ = f"{', '.join(names)}, or an example whose environment exists: {', '.join(orms)}"
    arguments.add_argument("--only", nargs="+", choices=names + orms, default=names, metavar="APP", help=help_)
    calls = [call.name for call in CALLS]
    arguments.add_argument("--calls", nargs="+", choices=calls, default=calls, metavar="CALL", help=", ".join(calls))
    arguments.add_argument("--postgresql", metavar="URL", help="a server to use instead of starting one")
    arguments.add_argument("--directory", type=Path, help="where SQLite's files are put (default: the temporary one)")
    arguments.add_argument(
        "--before", type=Path, metavar="CLONE", help="another commit, to be compared in the same run"
    )
    given = arguments.parse_args()
    if given.users < _MIN_USERS:
        arguments.error(f"--users must be at least {_MIN_USERS}, so that there is a page near their end")
    return given


def _plan(given: argparse.Namespace, store: str) -> Plan:
    return Plan(
        apps=[
            *([Checkout(given.before)] if given.before else []),
            *(app for app in (*APPS, *ORMS) if app.name in given.only and store in app.stores),
        ],
        calls=[call for call in CALLS if call.name in given.calls],
        connections=given.connections,
        users=given.users,
        rounds=given.rounds,
        seconds=given.seconds,
    )


if __name__ == "__main__":
    main()
