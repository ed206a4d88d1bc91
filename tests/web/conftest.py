from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from playwright.sync_api import Browser

from tests.http.service import running
from tests.http.sign_in_helpers import SIGNING_KEY
from tests.web.browsers import chromium


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application in token mode."""
    async with running(signing_key=SIGNING_KEY, hashes=False) as service, service.connect() as client:
        yield client
