"""Run the storage contract on each store, record the results, and redraw the table in the documentation.

python -m tests.capabilities [store ...]
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import cast
from xml.etree import ElementTree

from tests.capabilities.results import RECORDED, Contract, load, record
from tests.capabilities.table import stores, table
from tests.servers.choice import Kind
from tests.servers.databases import Databases
from tests.servers.variants import VARIANTS, databases_on


def main(chosen: Sequence[str]) -> int:
    failed = 0
    for store in chosen or stores():
        found = Contract(server_of(store), *cases_of(store))
        failed += found.cases - found.passed
        record(store, contract=found)
    RECORDED.put_into_page(table(load()))
    return int(failed > 0)


def cases_of(store: str) -> tuple[int, int]:
    """Run all contract cases on a store; return how many there are and how many passed."""
    with tempfile.TemporaryDirectory(prefix="userport-contract-") as directory:
        report = Path(directory, "report.xml")
        subprocess.run(  # noqa: S603 - our own tests
            [sys.executable, "-m", "pytest", "-q", f"tests/storage/test_{store}.py", f"--junitxml={report}"],
            env={**os.environ, "REQUIRE_STORAGES": store.partition("_")[0]},
            check=False,
        )
        cases = [
            case
            for case in ElementTree.parse(report).iter("testcase")  # noqa: S314 - we wrote it ourselves
            if case.get("classname", "").endswith("Storage")
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
