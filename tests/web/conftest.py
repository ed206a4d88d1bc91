from collections.abc import AsyncIterator

import httpx
import pytest

from tests.http.service import running
from tests.http.sign_in_helpers import SIGNING_KEY


@pytest.fixture(scope="session")
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application in token mode."""
    async with running(signing_key=SIGNING_KEY, hashes=False) as service, service.connect() as client:
        yield client
