"""What members may do, and that they cannot reach other users, on every store."""

from typing import Any

import httpx
import pytest

from tests.http.problems import code_of, pointers_of
from tests.http.records import UNKNOWN_ID, new_user, path_of, publish
from tests.http.service import Service, running
from tests.http.sign_in_helpers import PASSWORD, SIGNING_KEY, a_member, an_admin, bearer, tokens_of

CALLS_ON_A_USER: list[tuple[str, str, Any]] = [
    ("GET", "", None),
    ("HEAD", "", None),
    ("PUT", "", {"email": "stolen@example.org", "name": "Stolen"}),
    ("PATCH", "", {"name": "Stolen"}),
    ("PATCH", "", {"role": "admin"}),
    ("DELETE", "", None),
    ("PUT", "/password", {"current_password": PASSWORD, "new_password": "stolen horse battery"}),
    ("POST", "/posts", {"title": "Forged", "body": "Forged"}),
    ("GET", "/posts", None),
    ("GET", "/posts?count=true", None),
]
CALLS_ON_A_POST: list[tuple[str, Any]] = [
    ("GET", None),
    ("HEAD", None),
    ("PATCH", {"title": "Forged"}),
    ("DELETE", None),
]


async def test_a_member_reaches_nothing_of_anybody_else(token_client: httpx.AsyncClient) -> None:
    ann, ben = await a_member(token_client), await a_member(token_client)
    post = (
        await token_client.post(f"{path_of(ben.user)}/posts", json={"title": "T", "body": "B"}, headers=ben.headers)
    ).json()
    for method, rest, body in CALLS_ON_A_USER:
        theirs = await token_client.request(method, f"{path_of(ben.user)}{rest}", json=body, headers=ann.headers)
        unknown = await token_client.request(method, f"/users/{UNKNOWN_ID}{rest}", json=body, headers=ann.headers)
        assert theirs.status_code == unknown.status_code == 404
        if method != "HEAD":
            assert code_of(theirs) == code_of(unknown) == "user_not_found"
    for method, body in CALLS_ON_A_POST:
        theirs = await token_client.request(method, path_of(post), json=body, headers=ann.headers)
        unknown = await token_client.request(method, f"/posts/{UNKNOWN_ID}", json=body, headers=ann.headers)
        assert theirs.status_code == unknown.status_code == 404
        if method != "HEAD":
            assert code_of(theirs) == code_of(unknown) == "post_not_found"
    (session,) = (await token_client.get("/auth/sessions", headers=ben.headers)).json()
    ended = await token_client.delete(f"/auth/sessions/{session['id']}", headers=ann.headers)
    assert (ended.status_code, code_of(ended)) == (404, "session_not_found")
    assert (await token_client.get(path_of(ben.user), headers=ben.headers)).json() == ben.user
    assert (await token_client.get(path_of(post), headers=ben.headers)).json() == post


@pytest.mark.parametrize(
    "query",
    ["", "?email={email}", "?search=a", "?count=true", "?limit=999", "?cursor=x", "?email={own}", "/?username=x"],
)
async def test_a_member_cannot_list_users(token_client: httpx.AsyncClient, query: str) -> None:
    ann, ben = await a_member(token_client), await a_member(token_client)
    path = f"/users{query}".format(email=ben.user["email"], own=ann.user["email"])
    response = await token_client.get(path, headers=ann.headers)
    assert (response.status_code, code_of(response)) == (404, "not_found")
    assert "x-total-count" not in response.headers


@pytest.mark.parametrize("as_me", [True, False])
async def test_a_member_does_all_that_concerns_themselves(token_client: httpx.AsyncClient, as_me: bool) -> None:
    ann = await a_member(token_client)
    token_client.headers.update(ann.headers)
    own = "/users/me" if as_me else path_of(ann.user)
    seen = {"if-match": (await token_client.get(own)).headers["etag"]}
    changed = await token_client.patch(own, json={"name": "Anna"}, headers=seen)
    assert (changed.status_code, changed.json()["name"], changed.json()["id"]) == (200, "Anna", ann.user["id"])
    replaced = await token_client.put(own, json={"email": ann.user["email"], "name": "Ann"})
    assert (replaced.status_code, replaced.json()["role"], replaced.json()["active"]) == (200, "member", True)
    post = await token_client.post(f"{own}/posts", json={"title": "T", "body": "B"})
    assert (post.status_code, post.json()["author_id"]) == (201, ann.user["id"])
    await publish(token_client, ann.user)
    page = await token_client.get(f"{own}/posts?limit=1")
    assert page.json() == [post.json()]
    assert (await token_client.get(page.links["next"]["url"])).status_code == 200
    assert (await token_client.patch(path_of(post.json()), json={"title": "New"})).json()["title"] == "New"
    assert (await token_client.delete(path_of(post.json()))).status_code == 204
    assert (await token_client.get(own, headers={"if-none-match": replaced.headers["etag"]})).status_code == 304
    assert (await token_client.delete(own)).status_code == 204


@pytest.mark.parametrize("field", [{"role": "admin"}, {"role": "member"}, {"active": True}, {"active": False}])
async def test_only_an_admin_sets_role_and_active(token_client: httpx.AsyncClient, field: dict[str, Any]) -> None:
    ann = await a_member(token_client)
    complete = {"email": ann.user["email"], "name": "Ann", **field}
    for method, path, body, headers in (
        ("PATCH", "/users/me", field, ann.headers),
        ("PUT", "/users/me", complete, ann.headers),
        ("POST", "/users", new_user(**field), ann.headers),
        ("POST", "/users", new_user(**field), {}),
    ):
        response = await token_client.request(method, path, json=body, headers=headers)
        assert (response.status_code, code_of(response)) == (403, "not_permitted")
    assert (await token_client.get("/users/me", headers=ann.headers)).json() == ann.user


async def test_an_admin_does_everything(token_service: Service, token_client: httpx.AsyncClient) -> None:
    admin, ann = await an_admin(token_service, token_client), await a_member(token_client)
    token_client.headers.update(admin.headers)
    assert [user["id"] for user in (await token_client.get("/users")).json()] == [admin.user["id"], ann.user["id"]]
    assert (await token_client.get("/users/me")).json() == admin.user
    made = await token_client.post("/users", json=new_user(role="admin", active=False))
    assert (made.status_code, made.json()["role"], made.json()["active"]) == (201, "admin", False)
    promoted = await token_client.patch(path_of(ann.user), json={"role": "admin"})
    assert (promoted.status_code, promoted.json()["role"]) == (200, "admin")
    post = await publish(token_client, ann.user)
    assert (await token_client.patch(path_of(post), json={"title": "Edited"})).status_code == 200
    assert (await token_client.delete(path_of(post))).status_code == 204
    assert (await token_client.delete(path_of(ann.user))).status_code == 204


async def test_sign_up_can_be_switched_off() -> None:
    async with running(hashes=False, signing_key=SIGNING_KEY, sign_up=False) as service, service.connect() as client:
        anonymous = await client.post("/users", json=new_user())
        assert (anonymous.status_code, anonymous.headers["www-authenticate"]) == (401, "Bearer")
        admin = await an_admin(service, client)
        made = await client.post("/users", json=new_user(password=PASSWORD), headers=admin.headers)
        assert made.status_code == 201
        member = bearer((await tokens_of(client, made.json()["email"]))["access_token"])
        assert (await client.post("/users", json=new_user(), headers=member)).status_code == 403


async def test_a_member_who_signs_up_another_user_stays_signed_in(token_client: httpx.AsyncClient) -> None:
    ann = await a_member(token_client)
    assert (await token_client.post("/users", json=new_user(), headers=ann.headers)).status_code == 201
    assert pointers_of(await token_client.post("/users", json={}, headers=ann.headers)) == {"/email", "/name"}
    assert (await token_client.get("/users/me", headers=ann.headers)).json()["id"] == ann.user["id"]


async def test_there_is_no_own_user_in_open_mode(client: httpx.AsyncClient) -> None:
    for path in ("/users/me", "/users/me/posts"):
        response = await client.get(path)
        assert (response.status_code, code_of(response)) == (404, "user_not_found")
    assert (await client.get("/auth/sessions")).status_code == 404
