"""Change a password, on every store."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.http.problems import code_of, pointers_of
from tests.http.records import UNKNOWN_ID, path_of, register
from tests.http.service import Service
from tests.http.sign_in_helpers import PASSWORD, a_member, an_admin, sign_in

pytestmark = pytest.mark.usefixtures("short_delays")

NEW = "another horse battery"


async def test_a_wrong_current_password_changes_nothing(token_client: httpx.AsyncClient) -> None:
    person = await a_member(token_client)
    body = {"current_password": PASSWORD.upper(), "new_password": NEW}
    response = await token_client.put("/users/me/password", json=body, headers=person.headers)
    assert (response.status_code, code_of(response)) == (403, "wrong_password")
    assert (await sign_in(token_client, person.user["email"])).status_code == 200


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, {"/new_password"}),
        ({"new_password": NEW}, {"/current_password"}),
        ({"new_password": NEW, "current_password": None}, {"/current_password"}),
        ({"new_password": "short", "current_password": PASSWORD}, {"/new_password"}),
        ({"new_password": "x" * 257, "current_password": PASSWORD}, {"/new_password"}),
        ({"new_password": "iloveyou", "current_password": PASSWORD}, {"/new_password"}),
        ({"new_password": "ANN@example.org", "current_password": PASSWORD}, {"/new_password"}),
        ({"new_password": None, "current_password": PASSWORD}, {"/new_password"}),
        ({"new_password": 12345678, "current_password": PASSWORD}, {"/new_password"}),
        ({"new_password": NEW, "current_password": PASSWORD, "password": NEW}, {"/password"}),
    ],
)
async def test_a_password_that_is_not_good_enough_is_refused(
    memory_token_client: httpx.AsyncClient, body: dict[str, Any], pointers: set[str]
) -> None:
    person = await a_member(memory_token_client, email="ann@example.org")
    response = await memory_token_client.put("/users/me/password", json=body, headers=person.headers)
    assert pointers_of(response) == pointers
    assert (await sign_in(memory_token_client, "ann@example.org")).status_code == 200


async def test_an_admin_needs_no_current_password_but_a_wrong_one_is_refused(
    token_service: Service, token_client: httpx.AsyncClient
) -> None:
    admin = await an_admin(token_service, token_client)
    without = await register(token_client)
    path = f"{path_of(without)}/password"
    for body, status in (
        ({"new_password": NEW, "current_password": NEW}, 403),
        ({"new_password": NEW}, 204),
        ({"new_password": PASSWORD, "current_password": NEW}, 204),
    ):
        assert (await token_client.put(path, json=body, headers=admin.headers)).status_code == status
    assert (await sign_in(token_client, without["email"])).status_code == 200
    missing = await token_client.put(f"/users/{UNKNOWN_ID}/password", json={"new_password": NEW}, headers=admin.headers)
    assert missing.status_code == 404


async def test_passwords_are_the_same_however_they_are_composed(token_client: httpx.AsyncClient) -> None:
    user = await register(token_client, password="Zoe\u0308 und Käse")
    assert (await sign_in(token_client, user["email"], "Zo\u00eb und Ka\u0308se")).status_code == 200


@pytest.mark.every_store
async def test_of_parallel_changes_one_wins(token_client: httpx.AsyncClient) -> None:
    person = await a_member(token_client)
    passwords = [f"{NEW} {number}" for number in range(5)]
    bodies = [{"current_password": PASSWORD, "new_password": password} for password in passwords]
    responses = await asyncio.gather(
        *(token_client.put("/users/me/password", json=body, headers=person.headers) for body in bodies)
    )
    assert sorted(response.status_code for response in responses) == [204, 403, 403, 403, 403]
    winner = [response.status_code for response in responses].index(204)
    assert (await sign_in(token_client, person.user["email"], passwords[winner])).status_code == 200


async def test_a_password_can_be_set_in_open_mode(client: httpx.AsyncClient) -> None:
    user = await register(client, password=PASSWORD)
    path = f"{path_of(user)}/password"
    assert (await client.put(path, json={"new_password": NEW})).status_code == 204
    assert (await client.put(path, json={"new_password": NEW, "current_password": PASSWORD})).status_code == 403
    assert (await client.get(path_of(user))).json() == user
