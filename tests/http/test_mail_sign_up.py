"""Sign-ups that create no user before their address is confirmed."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx
import pytest
from dependency_injector.providers import Object

from application.mail.message import Template
from domain.pending_sign_up import PENDING_SIGN_UPS
from tests.application.fakes import ManualClock
from tests.http.mailbox import token_of
from tests.http.problems import code_of, pointers_of
from tests.http.records import new_user
from tests.http.service import Service, running
from tests.http.sign_in_helpers import PASSWORD, SIGNING_KEY, a_member, an_admin, sign_in

CONFIRM = "/auth/email-verification/confirm"
ANN = {"email": "Ann@example.org", "name": "Ann", "username": "ann", "bio": "Tea.", "password": PASSWORD}


@pytest.fixture
async def service(store_url: str) -> AsyncIterator[Service]:
    """The application with verified sign-up, on an empty store of each kind in turn."""
    async with running(store_url, hashes=False, signing_key=SIGNING_KEY, sign_up="verified") as service:
        await service.empty()
        yield service


@pytest.fixture
async def client(service: Service) -> AsyncIterator[httpx.AsyncClient]:
    async with service.connect() as client:
        yield client


async def signed_up(service: Service, client: httpx.AsyncClient, **fields: object) -> str:
    """Sign up, and return the token that is mailed."""
    user = {**ANN, **fields}
    assert (await client.post("/users", json=user)).status_code == 202
    await service.do_jobs()
    return token_of(service.mailbox.take(str(user["email"]), Template.SIGN_UP))


async def test_a_sign_up_creates_no_user_until_its_link_is_confirmed(
    service: Service, client: httpx.AsyncClient
) -> None:
    answer = await client.post("/users", json=ANN, headers={"accept-language": "de"})
    assert (answer.status_code, answer.content) == (202, b"")
    await service.do_jobs()
    assert await service.storage.unit_of_work().users.count() == 0
    mail = service.mailbox.take(ANN["email"])
    assert (mail.template, mail.language) == (Template.SIGN_UP, "de")
    assert mail.context["link"].startswith("http://127.0.0.1:8000/account/verify-email#token=")
    assert (await client.post(CONFIRM, json={"token": token_of(mail)})).status_code == 204
    (user,) = await service.storage.unit_of_work().users.page(limit=2)
    assert (user.email.address, user.name, user.bio, user.email_verified) == ("Ann@example.org", "Ann", "Tea.", True)
    assert user.username is not None
    assert user.username.text == "ann"
    assert (await sign_in(client, "ann")).status_code == 200
    assert await service.storage.unit_of_work().records(PENDING_SIGN_UPS).count() == 0
    assert (await client.post(CONFIRM, json={"token": token_of(mail)})).status_code == 400


async def test_a_taken_address_has_the_same_response_and_its_owner_gets_a_notice(
    service: Service, client: httpx.AsyncClient
) -> None:
    admin = await an_admin(service, client)
    free = await client.post("/users", json=ANN)
    taken = await client.post("/users", json={**ANN, "email": admin.user["email"].upper()})
    assert (taken.status_code, taken.content) == (free.status_code, free.content) == (202, b"")
    assert set(taken.headers) == set(free.headers)
    await service.do_jobs()
    notice = service.mailbox.take(admin.user["email"])
    assert (notice.template, "link" in notice.context) == (Template.SIGN_UP_ADDRESS_TAKEN, False)
    assert service.mailbox.to(ANN["email"]) == [Template.SIGN_UP]
    assert len(service.mailbox.mails) == 1


async def test_of_several_sign_ups_for_one_address_the_confirmed_one_becomes_the_user(
    service: Service, client: httpx.AsyncClient
) -> None:
    one = await signed_up(service, client, name="One", username="one")
    other = await signed_up(service, client, name="Other", username="other", email="ann@EXAMPLE.org".lower())
    assert (await client.post(CONFIRM, json={"token": other})).status_code == 204
    refused = await client.post(CONFIRM, json={"token": one})
    assert (refused.status_code, code_of(refused)) == (409, "email_taken")
    (user,) = await service.storage.unit_of_work().users.page(limit=2)
    assert user.name == "Other"


@pytest.mark.every_store
async def test_of_fifty_parallel_confirmations_one_succeeds(service: Service, client: httpx.AsyncClient) -> None:
    token = await signed_up(service, client)
    answers = await asyncio.gather(*(client.post(CONFIRM, json={"token": token}) for _ in range(50)))
    assert sorted(answer.status_code for answer in answers) == [204] + [400] * 49
    assert await service.storage.unit_of_work().users.count() == 1


async def test_a_taken_username_is_reported_at_once_or_at_the_confirmation(
    service: Service, client: httpx.AsyncClient
) -> None:
    one = await signed_up(service, client)
    other = await signed_up(service, client, email="other@example.org", username="ANN")
    assert (await client.post(CONFIRM, json={"token": one})).status_code == 204
    at_once = await client.post("/users", json={**ANN, "email": "third@example.org"})
    assert (at_once.status_code, code_of(at_once)) == (409, "username_taken")
    late = await client.post(CONFIRM, json={"token": other})
    assert (late.status_code, code_of(late)) == (409, "username_taken")


async def test_invalid_input_is_reported_at_once(client: httpx.AsyncClient) -> None:
    answer = await client.post("/users", json={**ANN, "email": "ann", "password": "short"})
    assert pointers_of(answer) == {"/email", "/password"}
    assert (await client.post("/users", json={**ANN, "role": "admin"})).status_code == 403


async def test_an_admin_creates_users_as_ever(service: Service, client: httpx.AsyncClient) -> None:
    admin = await an_admin(service, client)
    made = await client.post("/users", json=new_user(), headers=admin.headers)
    assert (made.status_code, made.json()["email_verified"]) == (201, False)
    await service.do_jobs()
    assert service.mailbox.mails == []


async def test_a_sign_up_that_is_not_confirmed_within_a_day_is_forgotten(
    service: Service, client: httpx.AsyncClient
) -> None:
    clock = ManualClock()
    clock.time = datetime.now(UTC)
    service.container.clock.override(Object(clock))
    token = await signed_up(service, client)
    clock.move(hours=24)
    assert (await client.post(CONFIRM, json={"token": token})).status_code == 400
    await service.container.expired_records().purge()
    assert await service.storage.unit_of_work().records(PENDING_SIGN_UPS).count() == 0


async def test_sign_up_that_is_switched_off_stays_so(store_url: str) -> None:
    async with (
        running(store_url, hashes=False, signing_key=SIGNING_KEY, sign_up="false") as service,
        service.connect() as client,
    ):
        assert (await client.post("/users", json=new_user())).status_code == 401


@pytest.mark.parametrize("value", ["1", "yes", "TRUE", "on", True])
async def test_other_words_for_true_still_open_sign_up(value: object) -> None:
    async with running(hashes=False, signing_key=SIGNING_KEY, sign_up=value) as service, service.connect() as client:
        assert (await a_member(client)).user["email_verified"] is False
