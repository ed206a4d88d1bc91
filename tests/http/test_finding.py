"""Find users by email, by username, or by a prefix; on every store."""

import httpx
import pytest

from tests.http.problems import pointers_of
from tests.http.records import register

COMPOSED, DECOMPOSED = "Am\u00e9lie", "Ame\u0301lie"


async def names(client: httpx.AsyncClient, **query: str) -> list[str]:
    response = await client.get("/users", params=query)
    assert response.status_code == 200
    return [user["name"] for user in response.json()]


@pytest.mark.parametrize("email", ["Ann@B\u00fccher.example", "ANN@xn--bcher-kva.EXAMPLE", " ann@b\u00fccher.example "])
async def test_an_email_finds_its_user_in_any_form(client: httpx.AsyncClient, email: str) -> None:
    await register(client, email="ann@b\u00fccher.example", name="Ann")
    await register(client, name="Bob")
    assert await names(client, email=email) == ["Ann"]


@pytest.mark.parametrize("username", ["ann_b", "ANN_B", "Ann_b"])
async def test_a_username_finds_its_user_in_any_case(client: httpx.AsyncClient, username: str) -> None:
    await register(client, username="Ann_B", name="Ann")
    await register(client, username="ann-b", name="Bob")
    assert await names(client, username=username) == ["Ann"]


@pytest.mark.parametrize(
    "query",
    [
        {"email": "other@example.org"},
        {"email": "ann"},
        {"email": "ann@example.or"},
        {"email": ""},
        {"email": "\x00"},
        {"email": "a" * 5000},
        {"email": "%"},
        {"username": "an"},
        {"username": "ann%"},
        {"username": "ann_"},
        {"username": ""},
        {"username": "ann\x00"},
        {"username": "a" * 5000},
        {"email": "ann@example.org", "username": "bob"},
    ],
)
async def test_an_unused_email_or_username_finds_no_user(client: httpx.AsyncClient, query: dict[str, str]) -> None:
    await register(client, email="ann@example.org", username="annx", name="Ann")
    await register(client, email="bob@example.org", username="bob", name="Bob")
    response = await client.get("/users", params=query)
    assert (response.status_code, response.json()) == (200, [])
    assert "link" not in response.headers


async def test_a_query_with_an_invalid_encoding_finds_no_user(client: httpx.AsyncClient) -> None:
    await register(client)
    for query in ("email=%FF%FE", "username=%C0%80", "email=%", "email=%zz"):
        response = await client.get(f"/users?{query}")
        assert (response.status_code, response.json()) == (200, [])


@pytest.mark.every_store
async def test_email_and_username_together_find_the_user_who_has_both(client: httpx.AsyncClient) -> None:
    await register(client, email="ann@example.org", username="ann", name="Ann")
    assert await names(client, email="ann@example.org", username="Ann") == ["Ann"]


async def test_a_filtered_list_can_be_counted(client: httpx.AsyncClient) -> None:
    await register(client, email="ann@example.org")
    await register(client)
    for email, total in (("ann@example.org", "1"), ("bob@example.org", "0")):
        response = await client.get("/users", params={"email": email, "count": "true"})
        assert response.headers["x-total-count"] == total


@pytest.mark.parametrize("text", ["ann", "ANN", "a", "Ann B", "ann b"])
async def test_a_search_finds_names_by_their_beginning(client: httpx.AsyncClient, text: str) -> None:
    await register(client, name="Ann Bee", email="x1@example.org")
    await register(client, name="Joann Bee", email="x2@example.org")
    assert await names(client, search=text) == ["Ann Bee"]


@pytest.mark.every_store
async def test_a_search_finds_emails_and_usernames_and_no_user_twice(client: httpx.AsyncClient) -> None:
    await register(client, name="Zoe", email="ann.z@example.org", username="zoe")
    await register(client, name="Yan", email="yan@example.org", username="Ann-Yan")
    await register(client, name="Annika", email="annika@example.org", username="annika")
    await register(client, name="Bob", email="bob@ann.example", username="bob")
    assert await names(client, search="ann") == ["Zoe", "Yan", "Annika"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (COMPOSED, DECOMPOSED.upper()),
        ("Stra\u00dfe", "STRASSE"),
        ("STRASSE", "stra\u00df"),
        ("\u039f\u0394\u03a5\u03a3\u03a3\u0395\u03a5\u03a3", "\u03bf\u03b4\u03c5\u03c3\u03c3\u03b5\u03cd\u03c2"[:6]),
        ("\u674e\u5c0f\u9f99", "\u674e"),
        ("\U0001f600 Smile", "\U0001f600"),
        ("100% _sure_", "100%"),
        ("_sure_", "_"),
        ("\\back", "\\"),
        ("[a-z]*", "[a"),
    ],
)
async def test_a_search_is_by_unicode_and_knows_no_wildcards(client: httpx.AsyncClient, name: str, text: str) -> None:
    await register(client, name=name, email="x1@example.org")
    await register(client, name="Somebody else", email="x2@example.org")
    assert await names(client, search=text) == [name]


@pytest.mark.parametrize("text", ["%", "_nn", "a%", "ame", "*", ".", "nn", "ann'--", "\uffff", "\U0010ffff"])
async def test_a_search_without_matches_is_empty(client: httpx.AsyncClient, text: str) -> None:
    await register(client, name="Ann", email="x1@example.org")
    await register(client, name=COMPOSED, email="x2@example.org")
    assert await names(client, search=text) == []


async def test_a_search_gives_at_most_limit_by_id_and_no_link(client: httpx.AsyncClient) -> None:
    for n in (3, 1, 2):
        await register(client, name=f"Ann {n}")
    await register(client, name="Bob")
    response = await client.get("/users", params={"search": "ann", "limit": 2, "count": "true"})
    assert [user["name"] for user in response.json()] == ["Ann 3", "Ann 1"]
    assert response.headers["x-total-count"] == "3"
    assert "link" not in response.headers
    assert await names(client, search="ann", order="desc") == ["Ann 2", "Ann 1", "Ann 3"]


async def test_a_search_forgets_what_a_user_was_called_before(client: httpx.AsyncClient) -> None:
    user = await register(client, name="Ann", username="ann", email="x1@example.org")
    await client.patch(f"/users/{user['id']}", json={"name": "Bea", "username": None})
    assert await names(client, search="ann") == []
    assert await names(client, search="be") == ["Bea"]


@pytest.mark.parametrize("text", ["", "a" * 101, "\x00", "a\x00b", "a\nb"])
async def test_a_search_text_has_1_to_100_characters(client: httpx.AsyncClient, text: str) -> None:
    assert pointers_of(await client.get("/users", params={"search": text})) == {"search"}
    assert await names(client, search="\U0001f600" * 100) == []


@pytest.mark.parametrize("other", ["email", "username", "cursor", "offset"])
async def test_a_search_goes_with_limit_order_and_count_only(client: httpx.AsyncClient, other: str) -> None:
    response = await client.get("/users", params={"search": "ann", other: "1"})
    assert response.status_code == 422
