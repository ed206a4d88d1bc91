import re
from pathlib import Path
from typing import Final

import pytest

from tests.capabilities.results import load
from tests.mutation.examples import SUITES

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = (ROOT / "docs" / "explanation" / "which-orm.md").read_text()
MAX_LINES: Final = 400


@pytest.mark.parametrize("example", SUITES)
def test_an_adapter_of_few_lines_has_as_many_as_the_page_says(example: str) -> None:
    package = ROOT / "examples" / example / example.replace("-", "_")
    lines = [line for file in package.rglob("*.py") for line in file.read_text().splitlines()]
    count = sum(not re.match(r"\s*(#|$)", line) for line in lines)
    assert count <= MAX_LINES
    assert f" | {count} | " in _row(example)


@pytest.mark.parametrize("example", SUITES)
def test_the_page_says_how_many_planted_bugs_the_contract_caught(example: str) -> None:
    bugs = load()[example].bugs
    assert bugs is not None
    assert f" | {bugs.caught} of {bugs.planted} | " in _row(example)
    assert bugs.caught >= 0.95 * bugs.planted


def _row(example: str) -> str:
    """Return the row of an example in the page's first table."""
    return next(line for line in PAGE.splitlines() if line.startswith("|") and f"[{example}]" in line)
