import re
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
EXAMPLE: Final = ROOT / "examples" / "userport-pony"
SOURCES: Final = [
    EXAMPLE / "pyproject.toml",
    EXAMPLE / "test_pony.py",
    *EXAMPLE.glob("userport_pony/*.py"),
    ROOT / "tests" / "storage" / "test_mongodb.py",
]
BLOCKS: Final = re.findall(
    r"^```(?:python|toml)\n(.*?)^```$",
    (ROOT / "docs" / "how-to" / "add-a-storage.md").read_text(),
    re.DOTALL | re.MULTILINE,
)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.splitlines()[0])
def test_code_that_is_shown_is_code_that_runs(block: str) -> None:
    assert any(block in source.read_text() for source in SOURCES)
