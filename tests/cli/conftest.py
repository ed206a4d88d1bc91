from collections.abc import Iterator

import pytest

from tests.cli.commands import userport
from tests.servers.choice import KINDS, Kind
from tests.servers.databases import Databases


@pytest.fixture(params=KINDS)
def unprepared(request: pytest.FixtureRequest, databases: Databases) -> Iterator[str]:
    """The URL of an empty storage of each kind."""
    kind: Kind = request.param
    with databases.fresh(kind) as url:
        yield url


@pytest.fixture
def prepared(unprepared: str) -> str:
    assert userport("storage", "prepare", "--storage", unprepared).exit_code == 0
    return unprepared


@pytest.fixture
def sqlite(databases: Databases) -> Iterator[str]:
    with databases.fresh("sqlite") as url:
        yield url
