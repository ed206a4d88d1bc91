import re
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
EXAMPLES: Final = ROOT / "examples"
SOURCES: Final = [
    EXAMPLES / "userport-pony" / "pyproject.toml",
    EXAMPLES / "userport-pony" / "test_pony.py",
    *EXAMPLES.glob("userport-*/userport_*/*.py"),
    ROOT / "tests" / "storage" / "test_mongodb.py",
]
PAGES: Final = [ROOT / "docs" / "how-to" / "add-a-storage.md", EXAMPLES / "userport-sqlalchemy-orm" / "README.md"]
BLOCKS: Final = [
    block
    for page in PAGES
    for block in re.findall(r"^```(?:python|toml)\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)
]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.splitlines()[0])
def test_code_that_is_shown_is_code_that_runs(block: str) -> None:
    assert any(block in source.read_text() for source in SOURCES)
