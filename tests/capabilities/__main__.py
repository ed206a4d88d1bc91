"""Run the storage contract on each store and topology, record the results, and redraw the tables in the documentation.

python -m tests.capabilities [store or topology ...]
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import cast
from xml.etree import ElementTree

from tests.capabilities import topologies
from tests.capabilities.results import RECORDED, Contract, load, record
from tests.capabilities.table import stores, table
from tests.capabilities.topologies import TOPOLOGIES, Passed
from tests.servers.choice import Kind
from tests.servers.databases import Databases
from tests.servers.variants import VARIANTS, databases_on


def main(chosen: Sequence[str]) -> int:
    failed = 0
    for name in chosen or [*stores(), *TOPOLOGIES]:
        if topology := TOPOLOGIES.get(name):
            cases, passed = cases_of(topology.tests, topology.kind)
            topologies.record(name, Passed(cases, passed))
        else:
            cases, passed = cases_of(f"tests/storage/test_{name}.py", name.partition("_")[0])
            record(name, contract=Contract(server_of(name), cases, passed))
        failed += cases - passed
    RECORDED.put_into_page(table(load()))
    topologies.RECORDED.put_into_page(topologies.table(topologies.load()))
    return int(failed > 0)


def cases_of(tests: str, kind: str) -> tuple[int, int]:
    """Run all contract cases in a file or class of tests; return how many there are and how many passed."""
    with tempfile.TemporaryDirectory(prefix="userport-contract-") as directory:
        report = Path(directory, "report.xml")
        subprocess.run(  # noqa: S603 - our own tests
            [sys.executable, "-m", "pytest", "-q", tests, f"--junitxml={report}"],
            env={**os.environ, "REQUIRE_STORAGES": kind},
            check=False,
        )
        cases = [
            case
            for case in ElementTree.parse(report).iter("testcase")  # noqa: S314 - we wrote it ourselves
            if case.get("classname", "").endswith(("Storage", "Pooler"))
        ]
    return len(cases), sum(len(case) == 0 for case in cases)


def server_of(store: str) -> str:
    """Return the version of the server that the contract runs on."""
    if store == "memory":
        return "-"
    kind = VARIANTS[store].kind if store in VARIANTS else cast("Kind", store)
    with databases_on(store) if store in VARIANTS else Databases() as databases, databases.fresh(kind) as url:
        return databases.version(kind, url)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
