import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from hypothesis import settings

from tests.servers.databases import Databases

# Imported, it makes a parser for each rule of RFC 3987, for seconds; jsonschema does without it.
sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]

# A slow example is no failure, because the machine may be busy.
settings.register_profile("thorough", deadline=None)
settings.register_profile("quick", deadline=None, max_examples=30)
settings.load_profile("thorough")

_IS_SLOW: Final = re.compile(r"^pytestmark = \[?pytest\.mark\.(slow|cluster)\b", re.MULTILINE)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave modules unimported whose tests are all deselected as slow."""
    if collection_path.suffix != ".py" or "not slow" not in config.getoption("markexpr"):
        return None
    return True if _IS_SLOW.search(collection_path.read_text()) else None


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    """Databases of every kind, for tests and for other fixtures."""
    with Databases() as databases:
        yield databases
