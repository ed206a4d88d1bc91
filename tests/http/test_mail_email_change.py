"""Change one's own address, confirmed at the new one and undone from the old one, on every store."""

import asyncio

import httpx
import pytest

from application.mail.message import Template
from tests.http.mailbox import token_of
from tests.http.problems import code_of, pointers_of
from tests.http.records import Record, new_user, path_of, register
from tests.http.service import Service
from tests.http.sign_in_helpers import PASSWORD, SignedInUser, a_member, an_admin, refresh, sign_in

pytestmark = pytest.mark.usefixtures("short_delays")

REQUEST = "/users/me/email-change"
CONFIRM = "/auth/email-change/confirm"
UNDO = "/auth/email-change/undo"
NEW = "new.ann@example.com"
GERMAN = {"accept-language": "de"}


@pytest.fixture
async def ann(token_service: Service, token_client: httpx.AsyncClient) -> SignedInUser:
    """A user with a verified address."""
    person = await a_member(token_client)
    await token_service.do_jobs()
    token = token_of(token_service.mailbox.take(person.user["email"]))
    confirmed = await token_client.post("/auth/email-verification/confirm", json={"token": token})
    assert confirmed.status_code == 204
    return person


@pytest.fixture
async def admin(token_service: Service, token_client: httpx.AsyncClient) -> SignedInUser:
    return await an_admin(token_service, token_client)


async def request(
    client: httpx.AsyncClient, person: SignedInUser, new: str = NEW, password: str = PASSWORD, **headers: str
) -> httpx.Response:
    body = {"new_email": new, "current_password": password}
    return await client.post(REQUEST, json=body, headers={**person.headers, **headers})


async def requested(service: Service, client: httpx.AsyncClient, person: SignedInUser, new: str = NEW) -> str:
    """Request a change, and return the token that is mailed to the new address."""
    assert (await request(client, person, new)).status_code == 202
    await service.do_jobs()
    return token_of(service.mailbox.take(new, Template.CONFIRM_EMAIL_CHANGE))


async def changed(service: Service, client: httpx.AsyncClient, person: SignedInUser, old: str, new: str = NEW) -> str:
    """Change an address, and return the token of the undo."""
    token = await requested(service, client, person, new)
    assert (await client.post(CONFIRM, json={"token": token})).status_code == 204
    await service.do_jobs()
    return token_of(service.mailbox.take(old, Template.EMAIL_CHANGED))


async def user_of(client: httpx.AsyncClient, person: SignedInUser, admin: SignedInUser) -> Record:
    user: Record = (await client.get(path_of(person.user), headers=admin.headers)).json()
    return user


async def test_a_change_is_confirmed_at_the_new_address_and_the_old_one_gets_a_notice(
    token_service: Service, token_client: httpx.AsyncClient, ann: SignedInUser, admin: SignedInUser
) -> None:
    old = ann.user["email"]
    answer = await request(token_client, ann, **GERMAN)
    assert (answer.status_code, answer.content) == (202, b"")
    await token_service.do_jobs()
    notice = token_service.mailbox.take(old)
    assert (notice.template, notice.language) == (Template.EMAIL_CHANGE_NOTICE, "de")
    assert (notice.context["new_address"], "link" in notice.context) == (NEW, False)
    assert (await user_of(token_client, ann, admin))["email"] == old
    mail = token_service.mailbox.take(NEW)
    assert (mail.template, mail.language) == (Template.CONFIRM_EMAIL_CHANGE, "de")
    assert mail.context["link"].startswith("http://127.0.0.1:8000/account/confirm-email-change#token=")
    confirmed = await token_client.post(CONFIRM, json={"token": token_of(mail)})
    assert (confirmed.status_code, confirmed.content) == (204, b"")
    user = await user_of(token_client, ann, admin)
    assert (user["email"], user["email_verified"]) == (NEW, True)
    assert (await sign_in(token_client, NEW)).status_code == 200


async def test_the_old_address_gets_a_link_that_undoes_the_change(
    token_service: Service, token_client: httpx.AsyncClient, ann: SignedInUser, admin: SignedInUser
) -> None:
    old = ann.user["email"]
    token = await requested(token_service, token_client, ann)
    await token_client.post(CONFIRM, json={"token": token}, headers=GERMAN)
    token_service.mailbox.mails.clear()
    await token_service.do_jobs()
    mail = token_service.mailbox.take(old)
    assert (mail.template, mail.language, mail.context["new_address"]) == (Template.EMAIL_CHANGED, "de", NEW)
    assert mail.context["link"].startswith("http://127.0.0.1:8000/account/undo-email-change#token=")
    undone = await token_client.post(UNDO, json={"token": token_of(mail)}, headers=GERMAN)
    assert (undone.status_code, undone.content) == (204, b"")
    user = await user_of(token_client, ann, admin)
    assert (user["email"], user["email_verified"]) == (old, True)
    assert (await refresh(token_client, ann.tokens["refresh_token"])).status_code == 400
    await token_service.do_jobs()
    reset = token_service.mailbox.take(old)
    assert (reset.template, reset.language) == (Template.RESET_PASSWORD, "de")
    body = {"token": token_of(reset), "new_password": "a long and quiet password"}
    assert (await token_client.post("/auth/password-reset/confirm", json=body)).status_code == 204


async def test_an_address_is_as_unverified_after_an_undo_as_it_was(
    token_service: Service, token_client: httpx.AsyncClient, admin: SignedInUser
) -> None:
    ben = await a_member(token_client)
    undo = await changed(token_service, token_client, ben, ben.user["email"])
    assert (await token_client.post(UNDO, json={"token": undo})).status_code == 204
    user = await user_of(token_client, ben, admin)
    assert (user["email"], user["email_verified"]) == (ben.user["email"], False)


async def test_a_wrong_password_requests_nothing(
    token_service: Service, token_client: httpx.AsyncClient, ann: SignedInUser
) -> None:
    refused = await request(token_client, ann, password="wrong horse battery")
    assert (refused.status_code, code_of(refused)) == (403, "wrong_password")
    await token_service.do_jobs()
    assert token_service.mailbox.mails == []


async def test_passwords_cannot_be_guessed_here_either(token_client: httpx.AsyncClient, ann: SignedInUser) -> None:
    answers = [await request(token_client, ann, password="wrong horse battery") for _ in range(6)]
    assert [answer.status_code for answer in answers] == [403] * 5 + [429]
    assert code_of(answers[-1]) == "too_many_failures"


@pytest.mark.parametrize("email", ["", "unknown", "a@b", "\x00@example.org"])
async def test_what_is_no_address_is_422(token_client: httpx.AsyncClient, ann: SignedInUser, email: str) -> None:
    assert pointers_of(await request(token_client, ann, email)) == {"/new_email"}


async def test_the_present_address_is_422(token_client: httpx.AsyncClient, ann: SignedInUser) -> None:
    assert pointers_of(await request(token_client, ann, ann.user["email"])) == {"/new_email"}


async def test_a_taken_address_shows_only_at_the_confirmation(
    token_service: Service, token_client: httpx.AsyncClient, ann: SignedInUser, admin: SignedInUser
) -> None:
    taken = (await token_client.post("/users", json=new_user(), headers=admin.headers)).json()
    token = await requested(token_service, token_client, ann, taken["email"])
    refused = await token_client.post(CONFIRM, json={"token": token})
    assert (refused.status_code, code_of(refused)) == (409, "email_taken")
    assert (await token_client.delete(path_of(taken), headers=admin.headers)).status_code == 204
    assert (await token_client.post(CONFIRM, json={"token": token})).status_code == 204


@pytest.mark.every_store
async def test_of_fifty_parallel_confirmations_and_undos_one_succeeds(
    token_service: Service, token_client: httpx.AsyncClient, ann: SignedInUser
) -> None:
    token = await requested(token_service, token_client, ann)
    answers = await asyncio.gather(*(token_client.post(CONFIRM, json={"token": token}) for _ in range(50)))
    assert sorted(answer.status_code for answer in answers) == [204] + [400] * 49
    await token_service.do_jobs()
    undo = token_of(token_service.mailbox.take(ann.user["email"], Template.EMAIL_CHANGED))
    answers = await asyncio.gather(*(token_client.post(UNDO, json={"token": undo}) for _ in range(50)))
    assert sorted(answer.status_code for answer in answers) == [204] + [400] * 49


async def test_a_newer_request_voids_an_older_one(
    token_service: Service, token_client: httpx.AsyncClient, ann: SignedInUser
) -> None:
    older = await requested(token_service, token_client, ann)
    newer = await requested(token_service, token_client, ann, "newer@example.com")
    assert (await token_client.post(CONFIRM, json={"token": older})).status_code == 400
    assert (await token_client.post(CONFIRM, json={"token": newer})).status_code == 204


async def test_a_confirmed_change_voids_verifications_and_resets(
    token_service: Service, token_client: httpx.AsyncClient
) -> None:
    ben = await a_member(token_client)
    old = ben.user["email"]
    await token_client.post("/auth/password-reset", json={"email": old})
    await token_service.do_jobs()
    verify = token_of(token_service.mailbox.take(old, Template.VERIFY_EMAIL))
    reset = token_of(token_service.mailbox.take(old, Template.RESET_PASSWORD))
    await changed(token_service, token_client, ben, old)
    assert (await token_client.post("/auth/email-verification/confirm", json={"token": verify})).status_code == 400
    body = {"token": reset, "new_password": "a long and quiet password"}
    assert (await token_client.post("/auth/password-reset/confirm", json=body)).status_code == 400


async def test_nothing_but_use_voids_an_undo(
    token_service: Service, token_client: httpx.AsyncClient, ann: SignedInUser, admin: SignedInUser
) -> None:
    old, path = ann.user["email"], path_of(ann.user)
    undo = await changed(token_service, token_client, ann, old)
    await changed(token_service, token_client, ann, NEW, "newest@example.com")
    by_admin = {"new_password": "a long and quiet password"}
    assert (await token_client.put(f"{path}/password", json=by_admin, headers=admin.headers)).status_code == 204
    for change in ({"email": "by.admin@example.com"}, {"active": False}):
        assert (await token_client.patch(path, json=change, headers=admin.headers)).status_code == 200
    assert (await token_client.post(UNDO, json={"token": undo})).status_code == 204
    assert (await user_of(token_client, ann, admin))["email"] == old
    assert (await token_client.post(UNDO, json={"token": undo})).status_code == 400


async def test_an_undo_drops_pending_changes_and_newer_undos_but_no_older_ones(
    token_service: Service, token_client: httpx.AsyncClient, ann: SignedInUser, admin: SignedInUser
) -> None:
    first, second, third = ann.user["email"], "second@example.com", "third@example.com"
    to_first = await changed(token_service, token_client, ann, first, second)
    to_second = await changed(token_service, token_client, ann, second, third)
    to_third = await changed(token_service, token_client, ann, third, "fourth@example.com")
    pending = await requested(token_service, token_client, ann, "fifth@example.com")
    assert (await token_client.post(UNDO, json={"token": to_second})).status_code == 204
    assert (await user_of(token_client, ann, admin))["email"] == second
    assert (await token_client.post(CONFIRM, json={"token": pending})).status_code == 400
    assert (await token_client.post(UNDO, json={"token": to_third})).status_code == 400
    assert (await token_client.post(UNDO, json={"token": to_first})).status_code == 204
    assert (await user_of(token_client, ann, admin))["email"] == first


async def test_the_old_address_is_not_reserved(
    token_service: Service, token_client: httpx.AsyncClient, ann: SignedInUser
) -> None:
    undo = await changed(token_service, token_client, ann, ann.user["email"])
    other = await register(token_client, email=ann.user["email"])
    refused = await token_client.post(UNDO, json={"token": undo})
    assert (refused.status_code, code_of(refused)) == (409, "email_taken")
    assert other["email"] == ann.user["email"]


# Direct changes


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
async def test_a_member_who_changes_the_address_directly_needs_a_confirmation(
    token_service: Service, token_client: httpx.AsyncClient, ann: SignedInUser, method: str
) -> None:
    for email in (NEW, ann.user["email"].upper()):
        body = {"email": email, "name": "Ann"}
        refused = await token_client.request(method, "/users/me", json=body, headers=ann.headers)
        assert (refused.status_code, code_of(refused)) == (403, "confirmation_required")
    body = {"email": ann.user["email"], "name": "Anna"}
    same = await token_client.request(method, "/users/me", json=body, headers=ann.headers)
    assert (same.status_code, same.json()["name"], same.json()["email_verified"]) == (200, "Anna", True)
    await token_service.do_jobs()
    assert token_service.mailbox.mails == []


async def test_an_admins_change_takes_effect_at_once_and_the_old_address_gets_a_notice(
    token_service: Service, token_client: httpx.AsyncClient, ann: SignedInUser, admin: SignedInUser
) -> None:
    headers = {**admin.headers, **GERMAN}
    patched = await token_client.patch(path_of(ann.user), json={"email": NEW}, headers=headers)
    assert (patched.status_code, patched.json()["email"], patched.json()["email_verified"]) == (200, NEW, False)
    await token_service.do_jobs()
    (notice,) = token_service.mailbox.mails
    assert (notice.to, notice.template) == (ann.user["email"], Template.EMAIL_CHANGED_BY_ADMIN)
    assert (notice.language, notice.context["new_address"]) == ("en", NEW)


async def test_an_admin_changes_their_own_address_at_once(
    token_service: Service, token_client: httpx.AsyncClient, admin: SignedInUser
) -> None:
    headers = {**admin.headers, **GERMAN}
    patched = await token_client.patch("/users/me", json={"email": NEW}, headers=headers)
    assert (patched.status_code, patched.json()["email"]) == (200, NEW)
    await token_service.do_jobs()
    assert token_service.mailbox.take(admin.user["email"]).language == "de"
