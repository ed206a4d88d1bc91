from collections.abc import Iterator

import pytest

from tests.servers.choice import Kind
from tests.servers.databases import Databases


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def url(request: pytest.FixtureRequest, databases: Databases) -> Iterator[str]:
    kind: Kind = request.param
    with databases.fresh(kind) as url:
        yield url
