import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Final

import pytest

from tests.capabilities import topologies
from tests.capabilities.results import RECORDED, load
from tests.capabilities.table import stores, table
from tests.capabilities.topologies import TOPOLOGIES
from tests.mutation import plant_bugs
from tests.mutation.plant_bugs import all_bugs
from tests.servers.choice import ALL
from tests.servers.variants import VARIANTS

ROOT: Final = Path(__file__).parents[2]


def test_the_table_of_the_stores_is_made_from_their_results() -> None:
    assert RECORDED.in_page() == table(load())
    assert set(stores()) == {"memory", *ALL, *VARIANTS}


def test_the_table_of_the_topologies_is_made_from_their_results() -> None:
    results = topologies.load()
    assert topologies.RECORDED.in_page() == topologies.table(results)
    assert results.keys() == TOPOLOGIES.keys()


@pytest.mark.slow
@pytest.mark.parametrize("store", stores())
def test_a_store_passed_every_case_that_there_is_now(store: str) -> None:
    contract = load()[store].contract
    assert contract is not None
    assert contract.passed == contract.cases == _cases(f"tests/storage/test_{store}.py")


@pytest.mark.slow
@pytest.mark.parametrize("name", TOPOLOGIES)
def test_a_topology_passed_every_case_that_there_is_now(name: str) -> None:
    result = topologies.load()[name]
    assert result.passed == result.cases == _cases(TOPOLOGIES[name].tests)


def test_a_figure_of_planted_bugs_is_of_all_that_can_be_planted_now() -> None:
    """A store whose planted bugs have changed since the last run has no figure."""
    planted = {store: result.bugs.planted for store, result in load().items() if result.bugs}
    assert planted
    now = Counter(bug.store for bug in all_bugs())
    assert planted == {store: now[store] for store in planted}


@pytest.mark.parametrize("file", sorted({bug.file for bug in all_bugs()}))
def test_every_bug_can_be_planted(file: str) -> None:
    text = (ROOT / file).read_text()
    for bug in all_bugs():
        if bug.file == file:
            with_bug = plant_bugs.planted(bug, text)
            assert with_bug != text, bug.what
            if file.endswith(".py"):
                compile(with_bug, bug.what, "exec")


def _cases(tests: str) -> int:
    """Return the number of contract cases in a file or class of tests."""
    listed = subprocess.run(  # noqa: S603 - our own tests
        [sys.executable, "-m", "pytest", "-q", "--collect-only", tests],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return sum("Storage::" in line or "Pooler::" in line for line in listed.stdout.splitlines())
