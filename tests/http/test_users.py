"""Create, read, replace, change and delete users, on every store."""

import re
from datetime import UTC, datetime
from uuid import UUID

import httpx
import pytest

from domain.credential import CREDENTIALS
from domain.values import UserId
from tests.http.problems import code_of, pointers_of
from tests.http.records import UNKNOWN_ID, Record, new_user, path_of, publish, register
from tests.http.service import Service

WRITABLE = {"email": "ann@example.org", "name": "Ann", "username": "ann", "bio": "Likes tea"}


@pytest.mark.every_store
async def test_a_new_user_is_answered_with_201_its_location_and_its_etag(client: httpx.AsyncClient) -> None:
    response = await client.post("/users", json=WRITABLE)
    assert response.status_code == 201
    assert response.headers["location"] == f"/users/{response.json()['id']}"
    read = await client.get(response.headers["location"])
    assert read.status_code == 200
    assert read.json() == response.json()
    assert read.headers["etag"] == response.headers["etag"]


async def test_a_user_has_the_fields_of_the_contract_and_no_others(client: httpx.AsyncClient) -> None:
    user = await register(client, **WRITABLE, password="correct horse battery")
    added = {name: user.pop(name) for name in ("id", "created_at", "updated_at")}
    assert user == {**WRITABLE, "role": "member", "active": True}
    assert all(isinstance(value, str) for value in added.values())


async def test_only_email_and_name_are_needed(client: httpx.AsyncClient) -> None:
    user = await register(client, email="bob@example.org", name="Bob")
    assert (user["username"], user["bio"], user["role"], user["active"]) == (None, None, "member", True)


@pytest.mark.parametrize("missing", ["email", "name"])
@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_email_and_name_are_required(client: httpx.AsyncClient, method: str, missing: str) -> None:
    path = "/users" if method == "POST" else path_of(await register(client))
    fields = {name: value for name, value in WRITABLE.items() if name != missing}
    assert pointers_of(await client.request(method, path, json=fields)) == {f"/{missing}"}


async def test_an_admin_sets_role_and_active(client: httpx.AsyncClient) -> None:
    user = await register(client, role="admin", active=False)
    assert (user["role"], user["active"]) == ("admin", False)
    changed = (await client.patch(path_of(user), json={"role": "member", "active": True})).json()
    assert (changed["role"], changed["active"]) == ("member", True)
    replaced = (await client.put(path_of(user), json=new_user(role="admin", active=False))).json()
    assert (replaced["role"], replaced["active"]) == ("admin", False)


async def test_ids_are_version_7_uuids_that_sort_by_creation(client: httpx.AsyncClient) -> None:
    ids = [(await register(client))["id"] for _ in range(20)]
    assert all(UUID(text).version == 7 and str(UUID(text)) == text for text in ids)
    assert ids == sorted(set(ids))


async def test_times_are_utc_with_three_decimals(client: httpx.AsyncClient) -> None:
    before = datetime.now(UTC)
    user = await register(client)
    after = datetime.now(UTC)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", user["created_at"])
    assert user["updated_at"] == user["created_at"]
    made = datetime.fromisoformat(user["created_at"])
    assert before.replace(microsecond=before.microsecond // 1000 * 1000) <= made <= after
    changed = (await client.patch(path_of(user), json={"name": "New"})).json()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", changed["updated_at"])
    assert changed["updated_at"] >= user["updated_at"]
    assert changed["created_at"] == user["created_at"]


async def test_a_password_becomes_a_hash_and_never_comes_back(client: httpx.AsyncClient, service: Service) -> None:
    response = await client.post("/users", json=new_user(password="correct horse battery"))
    assert "password" not in response.json()
    user_id = UserId(response.json()["id"])
    credential = await service.storage.unit_of_work().records(CREDENTIALS).get(user_id)
    assert credential is not None
    assert credential.password_hash.startswith("$argon2id$")
    assert "horse" not in credential.password_hash


@pytest.mark.parametrize("fields", [{}, {"password": None}])
async def test_a_user_need_not_have_a_password(
    client: httpx.AsyncClient, service: Service, fields: dict[str, None]
) -> None:
    user = await register(client, **fields)
    assert await service.storage.unit_of_work().records(CREDENTIALS).get(UserId(user["id"])) is None


async def test_a_second_user_with_an_email_is_409(client: httpx.AsyncClient) -> None:
    await register(client, email="ann@example.org")
    response = await client.post("/users", json=new_user(email="ann@example.org"))
    assert (response.status_code, code_of(response)) == (409, "email_taken")


async def test_a_second_user_with_a_username_is_409(client: httpx.AsyncClient) -> None:
    await register(client, username="Ann")
    response = await client.post("/users", json=new_user(username="aNN"))
    assert (response.status_code, code_of(response)) == (409, "username_taken")


@pytest.mark.every_store
@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_an_update_that_takes_what_another_has_is_409_and_changes_nothing(
    client: httpx.AsyncClient, method: str
) -> None:
    await register(client, email="ann@example.org", username="ann")
    bob = await register(client, email="bob@example.org", username="bob")
    email = await client.request(method, path_of(bob), json={"email": "ANN@example.org", "name": "New"})
    username = await client.request(
        method, path_of(bob), json={"email": "bob@example.org", "name": "New", "username": "Ann"}
    )
    assert (email.status_code, code_of(email)) == (409, "email_taken")
    assert (username.status_code, code_of(username)) == (409, "username_taken")
    assert (await client.get(path_of(bob))).json() == bob


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_a_user_may_rewrite_what_they_already_have(client: httpx.AsyncClient, method: str) -> None:
    ann = await register(client, email="ann@example.org", username="ann")
    fields = {"email": "ANN@example.org", "name": ann["name"], "username": "ANN"}
    response = await client.request(method, path_of(ann), json=fields)
    assert response.status_code == 200
    assert (response.json()["email"], response.json()["username"]) == ("ANN@example.org", "ANN")


@pytest.mark.every_store
async def test_a_put_replaces_everything_and_clears_what_it_leaves_out(client: httpx.AsyncClient) -> None:
    user = await register(client, **WRITABLE, role="admin", active=False)
    response = await client.put(path_of(user), json={"email": "new@example.org", "name": "New"})
    assert response.status_code == 200
    expected = {**user, "email": "new@example.org", "name": "New", "username": None, "bio": None}
    assert response.json() == {**expected, "updated_at": response.json()["updated_at"]}
    read = await client.get(path_of(user))
    assert (read.json(), read.headers["etag"]) == (response.json(), response.headers["etag"])


async def test_a_put_keeps_the_password(client: httpx.AsyncClient, service: Service) -> None:
    user = await register(client, password="correct horse battery")
    before = await service.storage.unit_of_work().records(CREDENTIALS).get(UserId(user["id"]))
    assert (await client.put(path_of(user), json=new_user())).status_code == 200
    assert await service.storage.unit_of_work().records(CREDENTIALS).get(UserId(user["id"])) == before is not None


async def test_a_put_never_creates(client: httpx.AsyncClient) -> None:
    response = await client.put(f"/users/{UNKNOWN_ID}", json=new_user())
    assert (response.status_code, code_of(response)) == (404, "user_not_found")
    assert (await client.get("/users")).json() == []


@pytest.mark.parametrize("media_type", ["application/merge-patch+json", "application/json"])
async def test_a_patch_changes_what_it_names(client: httpx.AsyncClient, media_type: str) -> None:
    user = await register(client, **WRITABLE)
    response = await client.patch(path_of(user), content=b'{"bio": "New"}', headers={"content-type": media_type})
    assert response.status_code == 200
    assert response.json() == {**user, "bio": "New", "updated_at": response.json()["updated_at"]}
    read = await client.get(path_of(user))
    assert (read.json(), read.headers["etag"]) == (response.json(), response.headers["etag"])


async def test_null_in_a_patch_clears_what_is_optional(client: httpx.AsyncClient) -> None:
    user = await register(client, **WRITABLE)
    changed = (await client.patch(path_of(user), json={"username": None, "bio": None})).json()
    assert (changed["username"], changed["bio"], changed["email"]) == (None, None, user["email"])


@pytest.mark.parametrize("field", ["email", "name", "role", "active"])
async def test_null_in_a_patch_is_422_for_what_every_user_has(client: httpx.AsyncClient, field: str) -> None:
    user = await register(client, **WRITABLE)
    assert pointers_of(await client.patch(path_of(user), json={field: None, "bio": "New"})) == {f"/{field}"}
    assert (await client.get(path_of(user))).json() == user


@pytest.mark.parametrize("patch", [{}, WRITABLE, {"name": "  Ann "}, {"role": "member", "active": True}])
async def test_a_patch_that_changes_nothing_keeps_etag_and_time(client: httpx.AsyncClient, patch: Record) -> None:
    created = await client.post("/users", json=WRITABLE)
    response = await client.patch(created.headers["location"], json=patch)
    assert response.status_code == 200
    assert response.json() == created.json()
    assert response.headers["etag"] == created.headers["etag"]


@pytest.mark.every_store
async def test_a_deleted_user_is_gone_with_their_posts(client: httpx.AsyncClient) -> None:
    user = await register(client)
    post = await publish(client, user)
    response = await client.delete(path_of(user))
    assert (response.status_code, response.content) == (204, b"")
    for path in (path_of(user), f"{path_of(user)}/posts", path_of(post)):
        assert (await client.get(path)).status_code == 404


async def test_a_second_delete_is_404(client: httpx.AsyncClient) -> None:
    user = await register(client)
    await client.delete(path_of(user))
    response = await client.delete(path_of(user))
    assert (response.status_code, code_of(response)) == (404, "user_not_found")


async def test_a_deleted_user_leaves_email_and_username_to_others(client: httpx.AsyncClient) -> None:
    user = await register(client, **WRITABLE)
    await client.delete(path_of(user))
    again = await register(client, **WRITABLE)
    assert again["id"] > user["id"]


async def test_a_changed_email_and_username_are_free_for_others(client: httpx.AsyncClient) -> None:
    user = await register(client, **WRITABLE)
    await client.patch(path_of(user), json={"email": "other@example.org", "username": None})
    await register(client, **WRITABLE)


CALLS = [
    ("GET", "/users/{id}", None),
    ("HEAD", "/users/{id}", None),
    ("PUT", "/users/{id}", {"email": "ann@example.org", "name": "Ann"}),
    ("PATCH", "/users/{id}", {"name": "Ann"}),
    ("DELETE", "/users/{id}", None),
    ("GET", "/users/{id}/posts", None),
    ("POST", "/users/{id}/posts", {"title": "News", "body": "Text"}),
]


@pytest.mark.parametrize(("method", "path", "body"), CALLS)
@pytest.mark.parametrize(
    "user_id",
    [
        UNKNOWN_ID,
        "1",
        "ann",
        UNKNOWN_ID.replace("-", ""),
        f"{UNKNOWN_ID}0",
        f"{{{UNKNOWN_ID}}}",
        f"urn:uuid:{UNKNOWN_ID}",
    ],
)
async def test_an_unknown_id_and_one_that_is_no_uuid_are_404(
    client: httpx.AsyncClient, method: str, path: str, body: Record | None, user_id: str
) -> None:
    response = await client.request(method, path.format(id=user_id), json=body)
    assert response.status_code == 404


async def test_an_id_in_capitals_names_the_same_user(client: httpx.AsyncClient) -> None:
    user = await register(client)
    upper = f"/users/{user['id'].upper()}"
    assert (await client.get(upper)).json() == user
    assert (await client.patch(upper, json={"name": "New"})).json()["id"] == user["id"]
    assert (await client.delete(upper)).status_code == 204
