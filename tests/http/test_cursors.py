"""A cursor is opaque and bound to one list in one order; damage is detected; on every store."""

import string

import httpx
import pytest

from tests.http.problems import code_of
from tests.http.records import path_of, publish, register


async def cursor_of(client: httpx.AsyncClient, path: str) -> str:
    response = await client.get(path)
    cursor: str = httpx.URL(response.links["next"]["url"]).params["cursor"]
    return cursor


async def status_of(client: httpx.AsyncClient, path: str, cursor: str, **query: str) -> int:
    response = await client.get(path, params={"cursor": cursor, **query})
    if response.status_code == 400:
        assert code_of(response) == "invalid_cursor"
    return response.status_code


@pytest.mark.parametrize(
    "others",
    ["AaBb90-_=\x00", pytest.param(string.ascii_letters + string.digits + "-_=.~ \x00\u00e9", marks=pytest.mark.slow)],
    ids=["some", "all"],
)
async def test_a_cursor_that_is_damaged_at_any_place_is_400(memory_client: httpx.AsyncClient, others: str) -> None:
    for _ in range(2):
        await register(memory_client)
    cursor = await cursor_of(memory_client, "/users?limit=1")
    assert await status_of(memory_client, "/users", cursor) == 200
    for place, character in enumerate(cursor):
        for other in others:
            if other != character:
                damaged = cursor[:place] + other + cursor[place + 1 :]
                assert await status_of(memory_client, "/users", damaged) == 400, damaged


async def test_a_cursor_that_is_cut_lengthened_or_invented_is_400(client: httpx.AsyncClient) -> None:
    users = [await register(client) for _ in range(2)]
    cursor = await cursor_of(client, "/users?limit=1")
    cut = [cursor[:length] for length in range(len(cursor))]
    longer = [cursor + more for more in ("A", "=", "==", "\n", " ", "\x00", cursor)] + [" " + cursor, "\ufeff" + cursor]
    invented = [users[0]["id"], "null", "0", "e30", "eyJpZCI6MX0", "\U0001f600", "../..", "9" * 4000]
    for wrong in cut + longer + invented:
        assert await status_of(client, "/users", wrong) == 400, wrong


async def test_a_cursor_belongs_to_its_order(client: httpx.AsyncClient) -> None:
    for _ in range(3):
        await register(client)
    forwards = await cursor_of(client, "/users?limit=1")
    backwards = await cursor_of(client, "/users?limit=1&order=desc")
    assert await status_of(client, "/users", forwards, order="asc") == 200
    assert await status_of(client, "/users", forwards, order="desc") == 400
    assert await status_of(client, "/users", backwards, order="desc") == 200
    assert await status_of(client, "/users", backwards, order="asc") == 400


async def test_a_cursor_belongs_to_its_list(client: httpx.AsyncClient) -> None:
    ann, bob = await register(client), await register(client)
    for author in (ann, bob):
        for _ in range(2):
            await publish(client, author)
    of_users = await cursor_of(client, "/users?limit=1")
    of_ann = await cursor_of(client, f"{path_of(ann)}/posts?limit=1")
    assert await status_of(client, f"{path_of(ann)}/posts", of_ann) == 200
    assert await status_of(client, f"{path_of(bob)}/posts", of_ann) == 400
    assert await status_of(client, "/users", of_ann) == 400
    assert await status_of(client, f"{path_of(ann)}/posts", of_users) == 400


async def test_a_cursor_may_change_its_limit_and_ask_for_a_count(client: httpx.AsyncClient) -> None:
    users = [await register(client) for _ in range(5)]
    cursor = await cursor_of(client, "/users?limit=1")
    response = await client.get("/users", params={"cursor": cursor, "limit": 2, "count": "true"})
    assert response.json() == users[1:3]
    assert response.headers["x-total-count"] == "5"


async def test_a_cursor_does_not_go_with_another_filter(client: httpx.AsyncClient) -> None:
    for username in ("ann", "bob"):
        await register(client, username=username, email=f"{username}@example.org")
    cursor = await cursor_of(client, "/users?limit=1")
    assert await status_of(client, "/users", cursor, email="bob@example.org") == 400
    assert await status_of(client, "/users", cursor, username="bob") == 400
