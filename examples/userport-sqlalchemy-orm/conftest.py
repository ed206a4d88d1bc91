import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.servers.databases import Databases

sys.path.append(str(Path(__file__).parents[2]))  # behind the installed packages, which are those to be tested


@pytest.fixture(scope="session")
def databases() -> Iterator["Databases"]:
    """The database servers of userport's own tests."""
    from tests.servers.databases import Databases

    with Databases() as databases:
        yield databases
