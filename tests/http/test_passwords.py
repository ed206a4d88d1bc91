"""Hashing is slow on purpose, and must not delay other requests."""

import asyncio
from collections import Counter

import httpx
import pytest

from tests.http.problems import code_of, pointers_of
from tests.http.records import new_user


@pytest.mark.slow
async def test_beyond_a_bounded_number_at_once_a_new_password_is_503(memory_client: httpx.AsyncClient) -> None:
    users = [new_user(password="correct horse battery") for _ in range(80)]
    signing_up = asyncio.gather(*(memory_client.post("/users", json=user) for user in users))
    # Other requests are not delayed.
    others = [await memory_client.get("/users") for _ in range(3)]
    assert not signing_up.done()
    assert {other.status_code for other in others} == {200}
    responses = await signing_up
    counted = Counter(response.status_code for response in responses)
    assert set(counted) == {201, 503}
    refused = [user for user, response in zip(users, responses, strict=True) if response.status_code == 503]
    assert {code_of(response) for response in responses if response.status_code == 503} == {"too_busy"}
    assert all(int(response.headers["retry-after"]) >= 1 for response in responses if response.status_code == 503)
    again = await memory_client.post("/users", json=refused[0])
    assert again.status_code == 201


async def test_a_password_must_not_be_the_email_in_any_form_of_it(memory_client: httpx.AsyncClient) -> None:
    for password in ("ann@bücher.example", "ANN@XN--BCHER-KVA.example"):
        user = new_user(email="ann@bücher.example", password=password)
        response = await memory_client.post("/users", json=user)
        assert response.status_code == 422
        assert pointers_of(response) == {"/password"}
