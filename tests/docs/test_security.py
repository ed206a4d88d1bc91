import re
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = [ROOT / "docs" / "reference" / name for name in ("limits.md", "security-checklist.md")]
NAMED: Final = sorted({named for page in PAGES for named in re.findall(r"([\w/.]+\.py)::(\w+)", page.read_text())})


@pytest.mark.parametrize(("path", "name"), NAMED, ids=lambda part: part)
def test_every_test_that_is_said_to_hold_something_is_there(path: str, name: str) -> None:
    assert re.search(rf"^ *(?:async )?def {name}\(", (ROOT / path).read_text(), re.MULTILINE)


def test_tests_are_named() -> None:
    assert len(NAMED) > 50
