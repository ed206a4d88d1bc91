"""The figures in the documentation equal the recorded results."""

import json
from pathlib import Path
from typing import Any, Final

import pytest

from benchmarks import orms, removal
from benchmarks.report import table

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = (ROOT / "docs" / "explanation" / "performance.md").read_text()
RESULTS: Final[dict[str, Any]] = json.loads((ROOT / "benchmarks" / "results" / "comparison.json").read_text())
REMOVALS: Final[dict[str, Any]] = json.loads((ROOT / "benchmarks" / "results" / "removal.json").read_text())
STORAGES: Final = (ROOT / "docs" / "reference" / "storages.md").read_text()


@pytest.mark.parametrize("store", RESULTS["stores"])
def test_the_tables_are_what_the_recorded_comparison_says(store: str) -> None:
    assert table(RESULTS, store) in PAGE


def test_the_page_names_what_was_measured_with() -> None:
    for name in (RESULTS["machine"]["processor"], *(on["version"] for on in RESULTS["stores"].values())):
        assert name in PAGE


def test_no_request_to_userport_failed_in_the_recorded_comparison() -> None:
    measured = [case for on in RESULTS["stores"].values() for case in on["measured"]]
    assert all(case["failed"] == 0 for case in measured if case["app"] == "userport")


def test_the_table_of_removals_is_what_was_recorded() -> None:
    assert removal.table(REMOVALS["stores"]) in STORAGES


def test_the_figures_of_the_orms_are_what_was_recorded_or_said_to_be_missing() -> None:
    block = orms.BLOCK.search(orms.PAGE.read_text())
    assert block
    expected = orms.figures(json.loads(orms.RESULTS.read_text())) if orms.RESULTS.exists() else orms.NOT_MEASURED
    assert block[0] == expected
