"""The number of statements that signing in sends to PostgreSQL."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import asyncpg
import httpx
import pytest
from sqlalchemy import Engine, event

from tests.http.service import running
from tests.http.sign_in_helpers import SIGNING_KEY, a_member, refresh, sign_in
from tests.servers.choice import skip_unless_chosen
from tests.servers.databases import Databases

pytestmark = pytest.mark.usefixtures("short_delays")


@pytest.fixture(scope="module")
def url(databases: Databases) -> Iterator[str]:
    skip_unless_chosen("postgresql")
    with databases.fresh("postgresql") as url:
        yield url


@contextmanager
def counted_statements() -> Iterator[Callable[[], int]]:
    """Count the statements that SQLAlchemy sends, and the reads that go directly to the driver."""
    count = 0

    def sent(*_: object) -> None:
        nonlocal count
        count += 1

    fetch = asyncpg.Connection.fetch

    async def fetch_and_count(connection: Any, *arguments: Any, **options: Any) -> Sequence[Any]:
        sent()
        rows: Sequence[Any] = await fetch(connection, *arguments, **options)
        return rows

    event.listen(Engine, "before_cursor_execute", sent)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(asyncpg.Connection, "fetch", fetch_and_count)
            yield lambda: count
    finally:
        event.remove(Engine, "before_cursor_execute", sent)


@pytest.fixture
async def client(url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with running(url, hashes=False, signing_key=SIGNING_KEY) as service, service.connect() as client:
        yield client


async def test_a_sign_in_and_a_refresh_take_few_statements(client: httpx.AsyncClient) -> None:
    person = await a_member(client)
    with counted_statements() as statements:
        assert (await sign_in(client, person.user["email"])).status_code == 200
        # User, failures, sessions, credential, failures again; both conditions with their locks, and the session.
        assert 5 < statements() <= 10
        before = statements()
        assert (await refresh(client, person.tokens["refresh_token"])).status_code == 200
        assert 2 <= statements() - before <= 3


async def test_all_counters_of_an_attempt_are_read_by_one_statement(client: httpx.AsyncClient) -> None:
    with counted_statements() as statements:
        for _ in range(5):
            assert (await sign_in(client, "unknown", "wrong horse")).status_code == 400
        before = statements()
        assert (await sign_in(client, "unknown", "wrong horse")).status_code == 429
        # The unknown name; its failures and those of its address; the records of a user who does not exist.
        assert statements() - before == 4
