from collections.abc import AsyncIterator

import pytest

from adapters.storage_contract.examples import a_prefix, a_user, a_username, an_email
from adapters.storage_contract.steps import add
from domain.storage import Storage
from tests.servers.databases import Databases
from tests.storage.database_contract import connected


@pytest.fixture
async def storage(databases: Databases) -> AsyncIterator[Storage]:
    with databases.fresh("redis") as url:
        async with connected(url) as storage:
            await storage.prepare()
            yield storage


async def test_of_thousands_who_are_found_the_first_come_back(storage: Storage) -> None:
    by_name = [a_user(name=f"Ann {number}") for number in range(2_600)]
    others = [a_user() for _ in range(1_500)]
    by_email = [a_user(email=an_email(f"ann {number}")) for number in range(2_400)]
    by_username = [a_user(username=a_username(f"ann {number}")) for number in range(200)]
    for some in (by_name, others, by_email, by_username):
        await add(storage, *some)
    found = [*by_name, *by_email, *by_username]
    users = storage.unit_of_work().users
    prefix = a_prefix("ann")
    assert await users.count(prefix) == len(found)
    for limit in (1, 10, 3_000, len(found), 10_000):
        assert list(await users.search(prefix, limit=limit)) == found[:limit]
        assert list(await users.search(prefix, limit=limit, descending=True)) == found[::-1][:limit]


@pytest.mark.parametrize("name", ["ann", "anna", "annabel", "an", "bob"])
@pytest.mark.parametrize("username", ["ann", "anna", "annabel", "an", "bob", None])
async def test_a_user_is_counted_once_even_if_their_keys_share_a_prefix(
    storage: Storage, name: str, username: str | None
) -> None:
    called = None if username is None else a_username(username)
    user = a_user(name=name, email=an_email("annabelle"), username=called)
    await add(storage, user)
    users = storage.unit_of_work().users
    for prefix in ("a", "an", "ann", "anna", "annab", "annabelle", "annabelles", "b"):
        fits = any(key.startswith(prefix) for key in user.search_keys)
        assert await users.count(a_prefix(prefix)) == fits
        assert list(await users.search(a_prefix(prefix), limit=5)) == [user] * fits
