"""Concurrent requests, on every store."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Iterable

import httpx
import pytest

from tests.http.problems import code_of
from tests.http.records import new_user, path_of, publish, register

pytestmark = pytest.mark.every_store


async def at_once(calls: Iterable[Awaitable[httpx.Response]]) -> list[httpx.Response]:
    return await asyncio.gather(*calls)


def statuses(responses: Iterable[httpx.Response]) -> Counter[int]:
    return Counter(response.status_code for response in responses)


async def test_of_30_users_with_one_email_one_is_made(client: httpx.AsyncClient) -> None:
    responses = await at_once(client.post("/users", json=new_user(email="ann@example.org")) for _ in range(30))
    assert statuses(responses) == {201: 1, 409: 29}
    assert {code_of(response) for response in responses if response.status_code == 409} == {"email_taken"}
    assert len((await client.get("/users")).json()) == 1


async def test_of_30_users_with_one_username_in_any_case_one_is_made(client: httpx.AsyncClient) -> None:
    responses = await at_once(
        client.post("/users", json=new_user(username="ANN" if n % 2 else "ann")) for n in range(30)
    )
    assert statuses(responses) == {201: 1, 409: 29}
    assert {code_of(response) for response in responses if response.status_code == 409} == {"username_taken"}
    assert len((await client.get("/users")).json()) == 1


async def test_of_20_users_who_change_to_one_username_one_gets_it(client: httpx.AsyncClient) -> None:
    users = [await register(client) for _ in range(20)]
    responses = await at_once(client.patch(path_of(user), json={"username": "ann"}) for user in users)
    assert statuses(responses) == {200: 1, 409: 19}
    assert [user["username"] for user in (await client.get("/users")).json()].count("ann") == 1


async def test_of_100_patches_with_one_if_match_one_succeeds(client: httpx.AsyncClient) -> None:
    created = await client.post("/users", json=new_user())
    path, if_match = created.headers["location"], {"if-match": created.headers["etag"]}
    responses = await at_once(client.patch(path, json={"name": f"Change {n}"}, headers=if_match) for n in range(100))
    assert statuses(responses) == {200: 1, 412: 99}
    winner = next(response for response in responses if response.status_code == 200)
    assert (await client.get(path)).json() == winner.json()


async def test_of_mixed_writes_with_one_if_match_one_succeeds(client: httpx.AsyncClient) -> None:
    created = await client.post("/users", json=new_user())
    path, if_match = created.headers["location"], {"if-match": created.headers["etag"]}
    responses = await at_once(
        call
        for n in range(10)
        for call in (
            client.put(path, json=new_user(), headers=if_match),
            client.patch(path, json={"bio": f"Change {n}"}, headers=if_match),
            client.delete(path, headers=if_match),
        )
    )
    counted = statuses(responses)
    assert counted[200] + counted[204] == 1
    # Once it is deleted, no version can be wrong.
    assert counted[412] + counted[404] == 29
    assert (counted[404] == 0) or (counted[204] == 1)


async def test_parallel_patches_of_different_fields_all_hold(client: httpx.AsyncClient) -> None:
    user = await register(client)
    changes = {"email": "new@example.org", "name": "New", "username": "new", "bio": "New", "role": "admin"}
    for _ in range(5):
        responses = await at_once(client.patch(path_of(user), json={field: value}) for field, value in changes.items())
        assert statuses(responses) == {200: 5}
        held = (await client.get(path_of(user))).json()
        assert {field: held[field] for field in changes} == changes
        await client.put(path_of(user), json={**new_user(), "role": "member"})


async def test_50_patches_of_one_record_without_if_match_all_succeed(client: httpx.AsyncClient) -> None:
    post = await publish(client, await register(client))
    responses = await at_once(client.patch(path_of(post), json={"title": f"Change {n}"}) for n in range(50))
    assert statuses(responses) == {200: 50}
    assert len({response.headers["etag"] for response in responses}) == 50


async def test_of_parallel_deletes_one_is_204(client: httpx.AsyncClient) -> None:
    user = await register(client)
    post = await publish(client, user)
    for record in (post, user):
        responses = await at_once(client.delete(path_of(record)) for _ in range(20))
        assert statuses(responses) == {204: 1, 404: 19}


async def test_a_post_made_while_its_author_is_removed_is_gone_with_them_or_404(client: httpx.AsyncClient) -> None:
    for _ in range(5):
        author = await register(client)
        posting = [client.post(f"{path_of(author)}/posts", json={"title": "News", "body": "Text"}) for _ in range(20)]
        *posted, removed = await at_once([*posting[:10], *posting[10:], client.delete(path_of(author))])
        assert removed.status_code == 204
        assert set(statuses(posted)) <= {201, 404}
        made = [response.headers["location"] for response in posted if response.status_code == 201]
        assert statuses(await at_once(client.get(path) for path in made)) == Counter({404: len(made)} if made else {})


async def test_a_patch_during_a_removal_holds_or_is_404(client: httpx.AsyncClient) -> None:
    for _ in range(5):
        user = await register(client)
        *patched, removed = await at_once(
            [*(client.patch(path_of(user), json={"bio": f"{n}"}) for n in range(10)), client.delete(path_of(user))]
        )
        assert removed.status_code == 204
        assert set(statuses(patched)) <= {200, 404}
        assert (await client.get(path_of(user))).status_code == 404


async def test_a_walk_under_writes_meets_what_was_there_all_the_while_exactly_once(client: httpx.AsyncClient) -> None:
    users = [await register(client) for _ in range(40)]
    staying, leaving = users[::2], users[1::2]
    writing = asyncio.gather(
        *(client.delete(path_of(user)) for user in leaving),
        *(client.post("/users", json=new_user()) for _ in range(20)),
    )
    met: list[str] = []
    path: str | None = "/users?limit=3"
    while path is not None:
        page = await client.get(path)
        met += [user["id"] for user in page.json()]
        path = page.links["next"]["url"] if "next" in page.links else None
    await writing
    assert len(met) == len(set(met))
    assert {user["id"] for user in staying} <= set(met)
