from collections.abc import Iterator

import pytest

from tests.servers.databases import Databases


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    """Databases of every kind, for tests and for other fixtures."""
    with Databases() as databases:
        yield databases
