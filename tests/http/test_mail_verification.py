"""Verify an address by a link, on every store."""

import asyncio

import httpx
import pytest

from application.mail.message import Template
from tests.http.mailbox import token_of
from tests.http.problems import code_of
from tests.http.records import new_user, path_of
from tests.http.service import Service
from tests.http.sign_in_helpers import SignedInUser, a_member, an_admin

CONFIRM = "/auth/email-verification/confirm"


async def user_of(client: httpx.AsyncClient, person: SignedInUser) -> dict[str, object]:
    user: dict[str, object] = (await client.get("/users/me", headers=person.headers)).json()
    return user


async def requested(service: Service, client: httpx.AsyncClient, person: SignedInUser) -> str:
    """Request a verification, and return the token that is mailed."""
    assert (await client.post("/auth/email-verification", headers=person.headers)).status_code == 202
    await service.do_jobs()
    return token_of(service.mailbox.take(person.user["email"], Template.VERIFY_EMAIL))


@pytest.fixture
async def ann(token_service: Service, token_client: httpx.AsyncClient) -> SignedInUser:
    """A user who has signed up."""
    person = await a_member(token_client)
    await token_service.do_jobs()
    token_service.mailbox.mails.clear()
    return person


async def test_a_sign_up_is_mailed_a_link_that_verifies_its_address(
    token_service: Service, token_client: httpx.AsyncClient
) -> None:
    ann = await a_member(token_client)
    assert ann.user["email_verified"] is False
    await token_service.do_jobs()
    mail = token_service.mailbox.take(ann.user["email"], Template.VERIFY_EMAIL)
    confirmed = await token_client.post(CONFIRM, json={"token": token_of(mail)})
    assert (confirmed.status_code, confirmed.content) == (204, b"")
    assert (await user_of(token_client, ann))["email_verified"] is True


async def test_a_user_whom_an_admin_creates_is_not_mailed(
    token_service: Service, token_client: httpx.AsyncClient
) -> None:
    admin = await an_admin(token_service, token_client)
    made = await token_client.post("/users", json=new_user(), headers=admin.headers)
    assert made.status_code == 201
    await token_service.do_jobs()
    assert token_service.mailbox.mails == []


async def test_a_verification_is_mailed_on_request(
    token_service: Service, token_client: httpx.AsyncClient, ann: SignedInUser
) -> None:
    answer = await token_client.post("/auth/email-verification", headers=ann.headers)
    assert (answer.status_code, answer.content) == (202, b"")
    await token_service.do_jobs()
    mail = token_service.mailbox.take(ann.user["email"])
    assert (mail.template, mail.language) == (Template.VERIFY_EMAIL, "en")
    assert (await token_client.post(CONFIRM, json={"token": token_of(mail)})).status_code == 204
    assert (await user_of(token_client, ann))["email_verified"] is True


async def test_a_link_leads_to_a_page_and_has_its_token_in_the_fragment(
    token_service: Service, token_client: httpx.AsyncClient, ann: SignedInUser
) -> None:
    await token_client.post("/auth/email-verification", headers=ann.headers)
    await token_service.do_jobs()
    link = token_service.mailbox.take(ann.user["email"]).context["link"]
    beginning, _, token = link.partition("#token=")
    assert beginning == "http://127.0.0.1:8000/account/verify-email"
    assert len(token) == 64


async def test_a_mail_is_in_the_language_of_the_request(
    token_service: Service, token_client: httpx.AsyncClient, ann: SignedInUser
) -> None:
    headers = {**ann.headers, "accept-language": "de-AT, en;q=0.5"}
    await token_client.post("/auth/email-verification", headers=headers)
    await token_service.do_jobs()
    assert token_service.mailbox.take(ann.user["email"]).language == "de"


async def test_a_verified_address_is_not_verified_again(
    token_service: Service, token_client: httpx.AsyncClient, ann: SignedInUser
) -> None:
    token = await requested(token_service, token_client, ann)
    await token_client.post(CONFIRM, json={"token": token})
    again = await token_client.post("/auth/email-verification", headers=ann.headers)
    assert (again.status_code, code_of(again)) == (409, "already_verified")


async def test_a_token_works_once(token_service: Service, token_client: httpx.AsyncClient, ann: SignedInUser) -> None:
    token = await requested(token_service, token_client, ann)
    answers = [await token_client.post(CONFIRM, json={"token": token}) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [204, 400, 400]
    assert code_of(answers[1]) == "invalid_token"


@pytest.mark.every_store
async def test_of_fifty_parallel_confirmations_one_succeeds(
    token_service: Service, token_client: httpx.AsyncClient, ann: SignedInUser
) -> None:
    token = await requested(token_service, token_client, ann)
    answers = await asyncio.gather(*(token_client.post(CONFIRM, json={"token": token}) for _ in range(50)))
    assert sorted(answer.status_code for answer in answers) == [204] + [400] * 49


async def test_a_newer_link_voids_an_older_one(
    token_service: Service, token_client: httpx.AsyncClient, ann: SignedInUser
) -> None:
    older, newer = [await requested(token_service, token_client, ann) for _ in range(2)]
    assert older != newer
    assert (await token_client.post(CONFIRM, json={"token": older})).status_code == 400
    assert (await token_client.post(CONFIRM, json={"token": newer})).status_code == 204


async def test_another_address_voids_a_link_for_good(
    token_service: Service, token_client: httpx.AsyncClient, ann: SignedInUser
) -> None:
    admin = await an_admin(token_service, token_client)
    token = await requested(token_service, token_client, ann)
    path = path_of(ann.user)
    for email in ("else@example.org", ann.user["email"]):
        changed = await token_client.patch(path, json={"email": email}, headers=admin.headers)
        assert (changed.status_code, changed.json()["email_verified"]) == (200, False)
        refused = await token_client.post(CONFIRM, json={"token": token})
        assert (refused.status_code, code_of(refused)) == (400, "invalid_token")


async def test_a_disabled_user_cannot_use_a_link_nor_once_they_are_active_again(
    token_service: Service, token_client: httpx.AsyncClient, ann: SignedInUser
) -> None:
    admin = await an_admin(token_service, token_client)
    token = await requested(token_service, token_client, ann)
    for active in (False, True):
        await token_client.patch(path_of(ann.user), json={"active": active}, headers=admin.headers)
        assert (await token_client.post(CONFIRM, json={"token": token})).status_code == 400


async def test_a_changed_password_voids_no_verification(
    token_service: Service, token_client: httpx.AsyncClient, ann: SignedInUser
) -> None:
    admin = await an_admin(token_service, token_client)
    token = await requested(token_service, token_client, ann)
    change = {"new_password": "a long and quiet password"}
    changed = await token_client.put(f"{path_of(ann.user)}/password", json=change, headers=admin.headers)
    assert changed.status_code == 204
    assert (await token_client.post(CONFIRM, json={"token": token})).status_code == 204


async def test_a_link_of_a_removed_user_is_not_valid(
    token_service: Service, token_client: httpx.AsyncClient, ann: SignedInUser
) -> None:
    token = await requested(token_service, token_client, ann)
    assert (await token_client.delete("/users/me", headers=ann.headers)).status_code == 204
    assert (await token_client.post(CONFIRM, json={"token": token})).status_code == 400


async def test_a_user_who_is_removed_before_the_mail_goes_out_gets_none(
    token_service: Service, token_client: httpx.AsyncClient, ann: SignedInUser
) -> None:
    await token_client.post("/auth/email-verification", headers=ann.headers)
    await token_client.delete("/users/me", headers=ann.headers)
    await token_service.do_jobs()
    assert token_service.mailbox.mails == []


@pytest.mark.parametrize("token", ["", "x", "A" * 64, "A" * 63, "A" * 65, "ä" * 64, "A" * 100_000, "\x00"])
@pytest.mark.parametrize(
    ("path", "more"),
    [
        (CONFIRM, {}),
        ("/auth/email-change/confirm", {}),
        ("/auth/email-change/undo", {}),
        ("/auth/password-reset/confirm", {"new_password": "a long and quiet password"}),
        ("/auth/invitation/confirm", {"new_password": "a long and quiet password"}),
    ],
)
async def test_what_is_no_token_has_the_answer_of_a_used_one(
    memory_token_client: httpx.AsyncClient, path: str, more: dict[str, str], token: str
) -> None:
    refused = await memory_token_client.post(path, json={"token": token, **more})
    assert (refused.status_code, code_of(refused)) == (400, "invalid_token")


@pytest.mark.parametrize("body", [{}, {"token": None}, {"token": 1}, {"token": "x", "more": 1}, []])
async def test_a_body_without_a_text_as_token_is_422(memory_token_client: httpx.AsyncClient, body: object) -> None:
    assert (await memory_token_client.post(CONFIRM, json=body)).status_code == 422


async def test_open_mode_has_none_of_these_calls(memory_client: httpx.AsyncClient) -> None:
    for path in ("/auth/email-verification", CONFIRM, "/auth/password-reset", "/users/me/email-change"):
        assert (await memory_client.post(path, json={"token": "x"})).status_code == 404
