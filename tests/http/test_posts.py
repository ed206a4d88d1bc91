"""Posts and their authors, on every store."""

import re
from uuid import UUID

import httpx
import pytest

from tests.http.problems import code_of, pointers_of
from tests.http.records import UNKNOWN_ID, Record, path_of, publish, register


async def test_a_new_post_is_answered_with_201_its_location_and_its_etag(client: httpx.AsyncClient) -> None:
    author = await register(client)
    response = await client.post(f"{path_of(author)}/posts", json={"title": "News", "body": "Text"})
    assert response.status_code == 201
    assert response.headers["location"] == f"/posts/{response.json()['id']}"
    read = await client.get(response.headers["location"])
    assert (read.status_code, read.json()) == (200, response.json())
    assert read.headers["etag"] == response.headers["etag"]


async def test_a_post_has_the_fields_of_the_contract_and_no_others(client: httpx.AsyncClient) -> None:
    author = await register(client)
    post = await publish(client, author, title="News", body="Text")
    assert set(post) == {"id", "author_id", "title", "body", "created_at", "updated_at"}
    assert (post["author_id"], post["title"], post["body"]) == (author["id"], "News", "Text")
    assert UUID(post["id"]).version == 7
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", post["created_at"])
    assert post["updated_at"] == post["created_at"]


async def test_ids_of_posts_sort_by_creation(client: httpx.AsyncClient) -> None:
    author = await register(client)
    ids = [(await publish(client, author))["id"] for _ in range(10)]
    assert ids == sorted(set(ids))


@pytest.mark.parametrize("missing", ["title", "body"])
async def test_title_and_body_are_required(client: httpx.AsyncClient, missing: str) -> None:
    author = await register(client)
    fields = {"title": "News", "body": "Text"}
    del fields[missing]
    assert pointers_of(await client.post(f"{path_of(author)}/posts", json=fields)) == {f"/{missing}"}


async def test_a_post_needs_a_known_author(client: httpx.AsyncClient) -> None:
    response = await client.post(f"/users/{UNKNOWN_ID}/posts", json={"title": "News", "body": "Text"})
    assert (response.status_code, code_of(response)) == (404, "user_not_found")


@pytest.mark.every_store
async def test_posts_are_listed_author_by_author(client: httpx.AsyncClient) -> None:
    ann, bob = await register(client), await register(client)
    posts = [await publish(client, ann), await publish(client, ann)]
    await publish(client, bob)
    assert (await client.get(f"{path_of(ann)}/posts")).json() == posts


async def test_an_author_without_posts_has_an_empty_list(client: httpx.AsyncClient) -> None:
    author = await register(client)
    response = await client.get(f"{path_of(author)}/posts")
    assert (response.status_code, response.json()) == (200, [])


async def test_posts_of_an_unknown_author_are_404_even_when_counted_or_past_an_offset(
    client: httpx.AsyncClient,
) -> None:
    for query in ("", "?count=true", "?offset=5", "?limit=1"):
        response = await client.get(f"/users/{UNKNOWN_ID}/posts{query}")
        assert (response.status_code, code_of(response)) == (404, "user_not_found")


@pytest.mark.parametrize("media_type", ["application/merge-patch+json", "application/json"])
async def test_a_patch_changes_what_it_names(client: httpx.AsyncClient, media_type: str) -> None:
    post = await publish(client, await register(client))
    response = await client.patch(path_of(post), content=b'{"body": "New"}', headers={"content-type": media_type})
    assert response.status_code == 200
    assert response.json() == {**post, "body": "New", "updated_at": response.json()["updated_at"]}
    read = await client.get(path_of(post))
    assert (read.json(), read.headers["etag"]) == (response.json(), response.headers["etag"])


@pytest.mark.parametrize("field", ["title", "body"])
async def test_null_in_a_patch_is_422(client: httpx.AsyncClient, field: str) -> None:
    post = await publish(client, await register(client))
    assert pointers_of(await client.patch(path_of(post), json={field: None})) == {f"/{field}"}
    assert (await client.get(path_of(post))).json() == post


@pytest.mark.parametrize("patch", [{}, {"title": "News"}, {"title": " News\t", "body": "Text"}])
async def test_a_patch_that_changes_nothing_keeps_etag_and_time(client: httpx.AsyncClient, patch: Record) -> None:
    author = await register(client)
    created = await client.post(f"{path_of(author)}/posts", json={"title": "News", "body": "Text"})
    response = await client.patch(created.headers["location"], json=patch)
    assert (response.status_code, response.json()) == (200, created.json())
    assert response.headers["etag"] == created.headers["etag"]


async def test_a_deleted_post_is_gone_and_its_author_stays(client: httpx.AsyncClient) -> None:
    author = await register(client)
    post, other = await publish(client, author), await publish(client, author)
    response = await client.delete(path_of(post))
    assert (response.status_code, response.content) == (204, b"")
    assert (await client.get(path_of(post))).status_code == 404
    again = await client.delete(path_of(post))
    assert (again.status_code, code_of(again)) == (404, "post_not_found")
    assert (await client.get(f"{path_of(author)}/posts")).json() == [other]


@pytest.mark.parametrize("method", ["GET", "HEAD", "PATCH", "DELETE"])
@pytest.mark.parametrize("post_id", [UNKNOWN_ID, "1", "news", UNKNOWN_ID.replace("-", "")])
async def test_an_unknown_id_and_one_that_is_no_uuid_are_404(
    client: httpx.AsyncClient, method: str, post_id: str
) -> None:
    body = {"title": "New"} if method == "PATCH" else None
    assert (await client.request(method, f"/posts/{post_id}", json=body)).status_code == 404


async def test_a_user_is_no_post_and_a_post_no_user(client: httpx.AsyncClient) -> None:
    user = await register(client)
    post = await publish(client, user)
    assert (await client.get(f"/posts/{user['id']}")).status_code == 404
    assert (await client.get(f"/users/{post['id']}")).status_code == 404


async def test_an_id_in_capitals_names_the_same_post(client: httpx.AsyncClient) -> None:
    post = await publish(client, await register(client))
    assert (await client.get(f"/posts/{post['id'].upper()}")).json() == post
