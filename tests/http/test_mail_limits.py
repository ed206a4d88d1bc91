"""Limits of requested mails, on every store."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.application.fakes import ManualClock
from tests.http.problems import code_of
from tests.http.records import new_user
from tests.http.service import Service, running
from tests.http.sign_in_helpers import PASSWORD, SIGNING_KEY, SignedInUser, a_member, an_admin

RESET = "/auth/password-reset"


@pytest.fixture
async def ann(token_service: Service, token_client: httpx.AsyncClient) -> SignedInUser:
    return await a_member(token_client)


@pytest.fixture
async def unlimited() -> AsyncIterator[Service]:
    settings: dict[str, Any] = {"mails_per_account": 0, "mails_per_address": 0}
    async with running(hashes=False, signing_key=SIGNING_KEY, **settings) as service:
        yield service


async def reset(client: httpx.AsyncClient, email: str) -> httpx.Response:
    return await client.post(RESET, json={"email": email})


async def statuses(client: httpx.AsyncClient, *emails: str) -> Counter[int]:
    answers = await asyncio.gather(*(reset(client, email) for email in emails))
    return Counter(answer.status_code for answer in answers)


@pytest.mark.every_store
@pytest.mark.parametrize("is_known", [True, False])
async def test_of_parallel_requests_for_one_address_five_are_accepted(
    token_service: Service, token_client: httpx.AsyncClient, ann: SignedInUser, is_known: bool
) -> None:
    email = ann.user["email"] if is_known else "unknown@example.org"
    assert await statuses(token_client, *[email] * 20) == {202: 5, 429: 15}
    refused = await reset(token_client, email.upper())
    assert (refused.status_code, code_of(refused)) == (429, "too_many_mail_requests")
    assert 3_500 <= int(refused.headers["retry-after"]) <= 3_600
    await token_service.do_jobs()
    resets = [mail for mail in token_service.mailbox.mails if mail.template == "reset-password"]
    assert len(resets) == (5 if is_known else 0)


async def test_all_kinds_of_mail_count_together(token_client: httpx.AsyncClient, ann: SignedInUser) -> None:
    email = ann.user["email"]
    change = {"new_email": "new@example.org", "current_password": PASSWORD}
    for _ in range(2):
        assert (await token_client.post("/auth/email-verification", headers=ann.headers)).status_code == 202
        assert (await token_client.post("/users/me/email-change", json=change, headers=ann.headers)).status_code == 202
    assert (await reset(token_client, email)).status_code == 202
    assert (await reset(token_client, email)).status_code == 429
    verification = await token_client.post("/auth/email-verification", headers=ann.headers)
    assert (verification.status_code, code_of(verification)) == (429, "too_many_mail_requests")
    assert (await token_client.post("/users/me/email-change", json=change, headers=ann.headers)).status_code == 429


async def test_the_new_address_of_a_change_has_its_limit_too(
    token_client: httpx.AsyncClient, ann: SignedInUser
) -> None:
    victim = "victim@example.org"
    assert await statuses(token_client, *[victim] * 5) == {202: 5}
    change = {"new_email": victim, "current_password": PASSWORD}
    refused = await token_client.post("/users/me/email-change", json=change, headers=ann.headers)
    assert (refused.status_code, code_of(refused)) == (429, "too_many_mail_requests")


@pytest.mark.every_store
async def test_of_parallel_requests_of_one_client_twenty_are_accepted(
    token_service: Service, token_client: httpx.AsyncClient
) -> None:
    emails = [f"user{number}@example.com" for number in range(30)]
    assert await statuses(token_client, *emails) == {202: 20, 429: 10}
    async with token_service.connect(peer=("192.0.2.7", 50000)) as elsewhere:
        assert (await reset(elsewhere, emails[29])).status_code == 202


async def test_sign_ups_and_what_an_admin_does_do_not_count(
    token_service: Service, token_client: httpx.AsyncClient
) -> None:
    admin = await an_admin(token_service, token_client)
    guests = [await token_client.post("/users", json=new_user(), headers=admin.headers) for _ in range(3)]
    for _ in range(25):
        assert (await token_client.post("/users", json=new_user())).status_code == 201
    for guest in guests:
        for _ in range(8):
            path = f"/users/{guest.json()['id']}/invitation"
            assert (await token_client.post(path, headers=admin.headers)).status_code == 202
    assert (await reset(token_client, guests[0].json()["email"])).status_code == 202


async def test_requests_that_are_refused_do_not_count(token_client: httpx.AsyncClient, ann: SignedInUser) -> None:
    wrong = {"new_email": "new@example.org", "current_password": "wrong horse battery"}
    for _ in range(3):
        assert (await reset(token_client, "no address")).status_code == 422
        assert (await token_client.post("/users/me/email-change", json=wrong, headers=ann.headers)).status_code == 403
    assert await statuses(token_client, *[ann.user["email"]] * 6) == {202: 5, 429: 1}


async def test_after_an_hour_there_may_be_more(clocked_token_service: Service, clock: ManualClock) -> None:
    async with clocked_token_service.connect() as client:
        for _ in range(5):
            assert (await reset(client, "ann@example.org")).status_code == 202
            clock.move(minutes=10)
        refused = await reset(client, "ann@example.org")
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "600")
        clock.move(minutes=10)
        assert (await reset(client, "ann@example.org")).status_code == 202
        assert (await reset(client, "ann@example.org")).status_code == 429


async def test_a_limit_of_zero_is_none(unlimited: Service) -> None:
    async with unlimited.connect() as client:
        assert await statuses(client, *["ann@example.org"] * 30) == {202: 30}
