"""Lists of users and of posts, on every store."""

from collections.abc import AsyncIterator, Sequence
from typing import TypeAlias

import httpx
import pytest

from tests.http.problems import pointers_of
from tests.http.records import Record, path_of, publish, register

List: TypeAlias = tuple[str, list[Record]]


@pytest.fixture(params=["users", "posts"])
async def author(request: pytest.FixtureRequest, client: httpx.AsyncClient) -> Record | None:
    """The author for lists of posts; None for the list of users."""
    return await register(client) if request.param == "posts" else None


@pytest.fixture
def path(author: Record | None) -> str:
    """The path of an empty list."""
    return "/users" if author is None else f"{path_of(author)}/posts"


@pytest.fixture
async def seven(client: httpx.AsyncClient, author: Record | None, path: str) -> List:
    """The path of a list, and its seven items in creation order."""
    if author is None:
        return path, [await register(client, email=f"user{n}@example.org") for n in range(7)]
    return path, [await publish(client, author, title=f"News {n}") for n in range(7)]


async def walk(client: httpx.AsyncClient, path: str | None) -> AsyncIterator[httpx.Response]:
    """Follow `rel="next"` to the last page."""
    while path is not None:
        response = await client.get(path)
        assert response.status_code == 200
        yield response
        path = next_of(response)


def next_of(response: httpx.Response) -> str | None:
    return response.links["next"]["url"] if "next" in response.links else None


async def test_an_empty_list_is_an_empty_array(client: httpx.AsyncClient) -> None:
    response = await client.get("/users")
    assert (response.status_code, response.json()) == (200, [])
    assert "link" not in response.headers


async def test_a_list_is_a_plain_array_by_creation(client: httpx.AsyncClient, seven: List) -> None:
    path, items = seven
    response = await client.get(path)
    assert (response.status_code, response.json()) == (200, items)
    assert "link" not in response.headers
    assert "x-total-count" not in response.headers


async def test_order_turns_a_list_round(client: httpx.AsyncClient, seven: List) -> None:
    path, items = seven
    assert (await client.get(path, params={"order": "desc"})).json() == items[::-1]
    assert (await client.get(path, params={"order": "asc"})).json() == items


async def test_a_page_has_50_items_when_nothing_is_said(client: httpx.AsyncClient) -> None:
    users = [await register(client) for _ in range(51)]
    pages = [page.json() async for page in walk(client, "/users")]
    assert pages == [users[:50], users[50:]]


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1, 3, 6, 7, 8, 200])
async def test_a_walk_meets_every_item_once_and_ends(
    client: httpx.AsyncClient, seven: List, limit: int, order: str
) -> None:
    path, items = seven
    expected = items if order == "asc" else items[::-1]
    pages = [page.json() async for page in walk(client, f"{path}?limit={limit}&order={order}")]
    assert pages == [expected[start : start + limit] for start in range(0, 7, limit)]


async def test_the_link_is_a_relative_reference_that_carries_limit_and_cursor(
    client: httpx.AsyncClient, seven: List
) -> None:
    path, _ = seven
    response = await client.get(path, params={"limit": 3})
    assert response.headers["link"].startswith(f"<{path}?")
    assert response.headers["link"].endswith('>; rel="next"')
    query = httpx.URL(next_of(response) or "").params
    assert query["limit"] == "3"
    assert query["cursor"]


async def test_an_offset_leaves_out_the_first_items_and_links_to_the_rest(
    client: httpx.AsyncClient, seven: List
) -> None:
    path, items = seven
    pages = [page.json() async for page in walk(client, f"{path}?offset=2&limit=3")]
    assert pages == [items[2:5], items[5:]]
    for offset in (7, 10_000):
        response = await client.get(path, params={"offset": offset})
        assert (response.json(), next_of(response)) == ([], None)


@pytest.mark.parametrize("limit", [1, 7, 200])
async def test_a_count_includes_everything_on_any_page(client: httpx.AsyncClient, seven: List, limit: int) -> None:
    path, _ = seven
    async for page in walk(client, f"{path}?count=true&limit={limit}"):
        assert page.headers["x-total-count"] == "7"


async def test_there_is_no_count_unless_it_is_asked_for(client: httpx.AsyncClient, seven: List) -> None:
    path, _ = seven
    assert "x-total-count" not in (await client.get(path, params={"count": "false"})).headers


@pytest.mark.every_store
async def test_a_walk_meets_what_was_there_all_the_while_exactly_once(client: httpx.AsyncClient, seven: List) -> None:
    path, items = seven
    met: list[str] = []
    victims = iter([items[0], items[3], items[5]])
    async for page in walk(client, f"{path}?limit=2"):
        met += [item["id"] for item in page.json()]
        if victim := next(victims, None):
            await client.delete(path_of(victim))
            await (register(client) if path == "/users" else publish(client, {"id": victim["author_id"]}))
    assert len(met) == len(set(met))
    assert met == sorted(met)
    assert {items[n]["id"] for n in (1, 2, 4, 6)} <= set(met)


async def test_a_walk_backwards_meets_nothing_that_came_later(client: httpx.AsyncClient) -> None:
    users = [await register(client) for _ in range(6)]
    met: list[Record] = []
    async for page in walk(client, "/users?limit=2&order=desc"):
        met += page.json()
        await register(client)
    assert met == users[::-1]


async def test_a_cursor_outlives_the_item_that_it_points_at(client: httpx.AsyncClient, seven: List) -> None:
    path, items = seven
    response = await client.get(path, params={"limit": 3})
    for item in items[2:4]:
        await client.delete(path_of(item))
    assert (await client.get(next_of(response) or "")).json() == items[4:]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        (
            "limit",
            ("0", "-1", "201", "", "abc", "1.5", "1.0", "1_0", "%2B5", "٣", "1e2", "9" * 5000, "\x00", "null"),
        ),
        ("offset", ("-1", "10001", "", "abc", "0.5", "9" * 30)),
        ("order", ("", "up", "ASC", "asc,desc")),
        ("count", ("", "yes", "on", "1", "0", "t", "True", "FALSE", " true", "\x00")),
    ],
)
async def test_a_parameter_that_is_out_of_range_is_422(
    client: httpx.AsyncClient, path: str, name: str, values: Sequence[str]
) -> None:
    for value in values:
        assert pointers_of(await client.get(path, params={name: value})) == {name}, value


@pytest.mark.parametrize("name", ["page", "Limit", "limit[]", "sort", "q", "emial", "id", ""])
async def test_an_unknown_parameter_is_422(client: httpx.AsyncClient, path: str, name: str) -> None:
    assert pointers_of(await client.get(path, params={name: "1"})) == {name}


@pytest.mark.parametrize("name", ["email", "username", "search"])
async def test_posts_have_no_filters(client: httpx.AsyncClient, name: str) -> None:
    author = await register(client)
    assert pointers_of(await client.get(f"{path_of(author)}/posts", params={name: "ann"})) == {name}


async def test_offset_with_cursor_is_422(client: httpx.AsyncClient, seven: List) -> None:
    path, _ = seven
    cursor = httpx.URL(next_of(await client.get(path, params={"limit": 3})) or "").params["cursor"]
    response = await client.get(path, params={"cursor": cursor, "offset": 1})
    assert response.status_code == 422
