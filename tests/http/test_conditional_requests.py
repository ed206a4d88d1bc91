"""ETag, If-Match and If-None-Match (RFC 9110, section 13), on every store."""

import re
from typing import Final

import httpx
import pytest

from domain.post import POSTS, Post
from domain.user import User
from domain.values import PostId, UserId
from tests.http.problems import code_of
from tests.http.records import UNKNOWN_ID, Record, new_user, path_of, publish, register
from tests.http.service import Service, running

KINDS: Final = ("user", "post")
CHANGE: Final = {"user": {"name": "New"}, "post": {"title": "New"}}


@pytest.fixture(params=KINDS)
async def kind(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


@pytest.fixture
async def record(client: httpx.AsyncClient, kind: str) -> Record:
    user = await register(client)
    return user if kind == "user" else await publish(client, user)


async def etag_of(client: httpx.AsyncClient, record: Record) -> str:
    response = await client.get(path_of(record))
    etag: str = response.headers["etag"]
    return etag


async def test_an_etag_is_strong_and_changes_with_every_change(
    client: httpx.AsyncClient, record: Record, kind: str
) -> None:
    field = next(iter(CHANGE[kind]))
    first = await etag_of(client, record)
    # Within one tick of the clock, so that an ETag derived from the time would stay the same.
    changes = [await client.patch(path_of(record), json={field: f"Change {n}"}) for n in range(10)]
    etags = [first, *(change.headers["etag"] for change in changes)]
    assert all(re.fullmatch(r'"[\x21\x23-\x7e]+"', etag) for etag in etags)
    assert len(set(etags)) == len(etags)
    assert await etag_of(client, record) == etags[-1]


async def test_every_answer_with_a_record_carries_its_etag(client: httpx.AsyncClient) -> None:
    created = await client.post("/users", json=new_user())
    path = created.headers["location"]
    replaced = await client.put(path, json=new_user())
    patched = await client.patch(path, json={"name": "New"})
    assert len({response.headers["etag"] for response in (created, replaced, patched)}) == 3
    for method in ("GET", "HEAD"):
        assert (await client.request(method, path)).headers["etag"] == patched.headers["etag"]


async def test_no_two_records_share_an_etag(client: httpx.AsyncClient) -> None:
    users = [await register(client) for _ in range(5)]
    posts = [await publish(client, user) for user in users]
    assert len({await etag_of(client, record) for record in (*users, *posts)}) == 10


async def test_the_etag_of_one_record_matches_no_other(client: httpx.AsyncClient, record: Record, kind: str) -> None:
    other = await register(client)
    if kind == "post":
        other = await publish(client, other)
    etag = await etag_of(client, other)
    assert (await client.get(path_of(record), headers={"if-none-match": etag})).status_code == 200
    for method, body in (("PATCH", CHANGE[kind]), ("DELETE", None)):
        response = await client.request(method, path_of(record), json=body, headers={"if-match": etag})
        assert (response.status_code, code_of(response)) == (412, "version_mismatch")
    assert (await client.get(path_of(record))).json() == record


async def test_etags_outlive_a_move_to_another_store(client: httpx.AsyncClient, service: Service) -> None:
    user = await register(client)
    post = await publish(client, user)
    await client.patch(path_of(user), json={"name": "New"})
    await client.patch(path_of(post), json={"title": "New"})
    here = service.storage.unit_of_work()
    moved_user, moved_post = await here.users.get(UserId(user["id"])), await here.records(POSTS).get(PostId(post["id"]))
    assert isinstance(moved_user, User)
    assert isinstance(moved_post, Post)
    async with running() as other, other.connect() as client_there:
        there = other.storage.unit_of_work()
        there.users.add(moved_user)
        there.records(POSTS).add(moved_post)
        await there.commit()
        for record in (user, post):
            assert await etag_of(client_there, record) == await etag_of(client, record)


@pytest.mark.every_store
async def test_etags_outlive_a_restart(client: httpx.AsyncClient, store_url: str, record: Record) -> None:
    if store_url == "memory://":
        pytest.skip("what is in memory does not outlive anything")
    await client.patch(path_of(record), json={"name": "New"} if "email" in record else {"title": "New"})
    async with running(store_url) as restarted, restarted.connect() as client_later:
        assert await etag_of(client_later, record) == await etag_of(client, record)


@pytest.mark.parametrize("form", ["{}", " {} ", '"other", {}', '{},"other"', '"other" ,\t{} , W/"other"', "*", " * "])
async def test_a_change_applies_if_if_match_names_the_etag(
    client: httpx.AsyncClient, record: Record, kind: str, form: str
) -> None:
    if_match = {"if-match": form.format(await etag_of(client, record))}
    response = await client.patch(path_of(record), json=CHANGE[kind], headers=if_match)
    assert response.status_code == 200
    if kind == "user":
        if_match = {"if-match": form.format(response.headers["etag"])}
        response = await client.put(path_of(record), json=new_user(), headers=if_match)
        assert response.status_code == 200
    if_match = {"if-match": form.format(response.headers["etag"])}
    assert (await client.delete(path_of(record), headers=if_match)).status_code == 204


async def test_if_match_may_span_several_lines(client: httpx.AsyncClient, record: Record, kind: str) -> None:
    lines = [("if-match", '"other"'), ("if-match", await etag_of(client, record))]
    assert (await client.patch(path_of(record), json=CHANGE[kind], headers=lines)).status_code == 200


STALE = ['"other"', "W/{}", '""', "", "{0}{0}", "{0} {0}", '"{}"', "x{}", "'1'", "1", '"', "**", '"*"', "w/{}", "\x7f"]
STALE_VERSIONS = ['"1"', '"1-"', '"-0123456789abcdef"', '"1-0123456789abcdef"']


@pytest.mark.parametrize("form", [*STALE, *STALE_VERSIONS])
async def test_a_stale_weak_or_malformed_if_match_is_412_and_nothing_changes(
    client: httpx.AsyncClient, record: Record, kind: str, form: str
) -> None:
    before = await client.get(path_of(record))
    if_match = {"if-match": form.format(before.headers["etag"])}
    calls: list[tuple[str, Record | None]] = [("PATCH", CHANGE[kind]), ("PATCH", {}), ("DELETE", None)]
    if kind == "user":
        calls.append(("PUT", new_user()))
    for method, body in calls:
        response = await client.request(method, path_of(record), json=body, headers=if_match)
        assert response.status_code == 412
        assert code_of(response) == "version_mismatch"
    after = await client.get(path_of(record))
    assert (after.json(), after.headers["etag"]) == (before.json(), before.headers["etag"])


@pytest.mark.every_store
async def test_the_etag_from_before_a_change_is_stale_after_it(
    client: httpx.AsyncClient, record: Record, kind: str
) -> None:
    old = {"if-match": await etag_of(client, record)}
    assert (await client.patch(path_of(record), json=CHANGE[kind], headers=old)).status_code == 200
    assert (await client.patch(path_of(record), json=CHANGE[kind], headers=old)).status_code == 412
    assert (await client.delete(path_of(record), headers=old)).status_code == 412


@pytest.mark.parametrize("if_match", ["*", '"1"'])
async def test_if_match_on_what_does_not_exist_is_404(client: httpx.AsyncClient, kind: str, if_match: str) -> None:
    path = f"/{kind}s/{UNKNOWN_ID}"
    for method, body in (("PATCH", CHANGE[kind]), ("DELETE", None)):
        response = await client.request(method, path, json=body, headers={"if-match": if_match})
        assert response.status_code == 404


@pytest.mark.parametrize("form", ["{}", "W/{}", "*", '"other", {}', 'W/"other" , W/{}', " {} "])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_if_none_match_with_the_etag_is_304_without_a_body(
    client: httpx.AsyncClient, record: Record, method: str, form: str
) -> None:
    etag = await etag_of(client, record)
    response = await client.request(method, path_of(record), headers={"if-none-match": form.format(etag)})
    assert (response.status_code, response.content) == (304, b"")
    assert response.headers["etag"] == etag
    assert response.headers["cache-control"] == "private, no-cache"


@pytest.mark.parametrize("form", ['"other"', 'W/"other"', "", '"*"', '"{}"', "1", '"'])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_if_none_match_with_anything_else_is_200(
    client: httpx.AsyncClient, record: Record, method: str, form: str
) -> None:
    etag = await etag_of(client, record)
    response = await client.request(method, path_of(record), headers={"if-none-match": form.format(etag)})
    assert response.status_code == 200
    assert method == "HEAD" or response.json() == record


async def test_if_none_match_after_a_change_is_200(client: httpx.AsyncClient, record: Record, kind: str) -> None:
    old = {"if-none-match": await etag_of(client, record)}
    changed = (await client.patch(path_of(record), json=CHANGE[kind])).json()
    response = await client.get(path_of(record), headers=old)
    assert (response.status_code, response.json()) == (200, changed)
