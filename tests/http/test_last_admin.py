"""In token mode there is always an active admin, on every store."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.http.problems import code_of
from tests.http.records import new_user, path_of, register
from tests.http.service import Service
from tests.http.sign_in_helpers import SignedInUser, a_member, an_admin

pytestmark = pytest.mark.every_store

WAYS: list[tuple[str, Any]] = [("PATCH", {"role": "member"}), ("PATCH", {"active": False}), ("DELETE", None)]


async def end(client: httpx.AsyncClient, by: SignedInUser, of: SignedInUser, way: tuple[str, Any]) -> httpx.Response:
    method, body = way
    return await client.request(method, path_of(of.user), json=body, headers=by.headers)


@pytest.mark.parametrize("way", WAYS)
async def test_the_last_active_admin_stays(
    token_service: Service, token_client: httpx.AsyncClient, way: tuple[str, Any]
) -> None:
    admin = await an_admin(token_service, token_client)
    await a_member(token_client)
    made = {"role": "admin", "active": False, "email": "inactive@example.org", "name": "Inactive"}
    assert (await token_client.post("/users", json=made, headers=admin.headers)).status_code == 201
    response = await end(token_client, admin, admin, way)
    assert (response.status_code, code_of(response)) == (409, "last_admin")
    assert (await token_client.get("/users/me", headers=admin.headers)).json() == admin.user
    replaced = {"email": admin.user["email"], "name": "Renamed", "role": "member"}
    response = await token_client.put("/users/me", json=replaced, headers=admin.headers)
    assert (response.status_code, code_of(response)) == (409, "last_admin")


@pytest.mark.parametrize("way", WAYS)
async def test_an_admin_may_go_when_another_stays(
    token_service: Service, token_client: httpx.AsyncClient, way: tuple[str, Any]
) -> None:
    admin, other = await an_admin(token_service, token_client), await an_admin(token_service, token_client)
    assert (await end(token_client, other, admin, way)).status_code in (200, 204)
    assert (await end(token_client, other, other, way)).status_code == 409


@pytest.mark.parametrize("way", WAYS)
async def test_of_two_admins_who_end_each_other_one_stays(
    token_service: Service, token_client: httpx.AsyncClient, way: tuple[str, Any]
) -> None:
    first, second = await an_admin(token_service, token_client), await an_admin(token_service, token_client)
    answers = await asyncio.gather(
        *(end(token_client, by, of, way) for by, of in ((first, second), (second, first)) for _ in range(5))
    )
    assert {answer.status_code for answer in answers} <= {200, 204, 401, 404, 409}
    assert len(await token_service.storage.unit_of_work().users.active_admins(limit=5)) == 1


async def test_a_dismissed_admin_cannot_undo_it_with_what_their_token_was_good_for(
    token_service: Service, token_client: httpx.AsyncClient
) -> None:
    admin, dismissed = await an_admin(token_service, token_client), await an_admin(token_service, token_client)
    assert (await token_client.get("/users", headers=dismissed.headers)).status_code == 200  # it is cached now
    body = {"role": "member"}
    assert (await token_client.patch(path_of(dismissed.user), json=body, headers=admin.headers)).status_code == 200
    undone = await token_client.patch("/users/me", json={"role": "admin"}, headers=dismissed.headers)
    assert (undone.status_code, code_of(undone)) == (403, "not_permitted")
    made = await token_client.post("/users", json=new_user(role="admin"), headers=dismissed.headers)
    assert made.status_code == 403


async def test_the_last_admin_can_be_removed_in_open_mode(client: httpx.AsyncClient) -> None:
    admin = await register(client, role="admin")
    assert (await client.patch(path_of(admin), json={"role": "member"})).status_code == 200
