import sys
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.servers.databases import Databases

# Imported, it makes a parser for each rule of RFC 3987, for seconds; jsonschema does without it.
sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]

# A slow example is no failure, because the machine may be busy.
settings.register_profile("thorough", deadline=None)
settings.register_profile("quick", deadline=None, max_examples=30)
settings.load_profile("thorough")


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    """Databases of every kind, for tests and for other fixtures."""
    with Databases() as databases:
        yield databases
