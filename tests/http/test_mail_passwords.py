"""Set a password by a mailed link, after a reset or an invitation, on every store."""

import asyncio
import json

import httpx
import pytest

from application.mail.message import Template
from domain.credential import CREDENTIALS
from domain.record_types import RECORD_TYPES
from domain.values import UserId
from tests.http.mailbox import token_of
from tests.http.problems import code_of, pointers_of
from tests.http.records import UNKNOWN_ID, Record, new_user, path_of
from tests.http.service import Service
from tests.http.sign_in_helpers import PASSWORD, SignedInUser, a_member, an_admin, refresh, sign_in, tokens_of

pytestmark = pytest.mark.usefixtures("short_delays")

RESET = "/auth/password-reset"
CONFIRM_RESET = "/auth/password-reset/confirm"
CONFIRM_INVITATION = "/auth/invitation/confirm"
NEW = "a long and quiet password"


@pytest.fixture
async def ann(token_service: Service, token_client: httpx.AsyncClient) -> SignedInUser:
    """A user who has signed up."""
    person = await a_member(token_client)
    await token_service.do_jobs()
    token_service.mailbox.mails.clear()
    return person


@pytest.fixture
async def admin(token_service: Service, token_client: httpx.AsyncClient) -> SignedInUser:
    return await an_admin(token_service, token_client)


@pytest.fixture
async def bob(token_client: httpx.AsyncClient, admin: SignedInUser) -> Record:
    """A user without a password."""
    made = await token_client.post("/users", json=new_user(), headers=admin.headers)
    user: Record = made.json()
    return user


async def reset_token(service: Service, client: httpx.AsyncClient, email: str) -> str:
    """Request a reset, and return the token that is mailed."""
    assert (await client.post(RESET, json={"email": email})).status_code == 202
    await service.do_jobs()
    return token_of(service.mailbox.take(email, Template.RESET_PASSWORD))


async def invitation_token(service: Service, client: httpx.AsyncClient, admin: SignedInUser, user: Record) -> str:
    invited = await client.post(f"{path_of(user)}/invitation", headers=admin.headers)
    assert (invited.status_code, invited.content) == (202, b"")
    await service.do_jobs()
    return token_of(service.mailbox.take(user["email"], Template.INVITATION))


async def confirm(client: httpx.AsyncClient, path: str, token: str, password: str = NEW) -> httpx.Response:
    return await client.post(path, json={"token": token, "new_password": password})


# Reset


@pytest.mark.every_store
async def test_a_reset_sets_the_password_and_verifies_the_address(
    token_service: Service, token_client: httpx.AsyncClient, ann: SignedInUser
) -> None:
    token = await reset_token(token_service, token_client, ann.user["email"])
    confirmed = await confirm(token_client, CONFIRM_RESET, token)
    assert (confirmed.status_code, confirmed.content) == (204, b"")
    assert (await sign_in(token_client, ann.user["email"])).status_code == 400
    headers = {"authorization": f"Bearer {(await tokens_of(token_client, ann.user['email'], NEW))['access_token']}"}
    assert (await token_client.get("/users/me", headers=headers)).json()["email_verified"] is True


async def test_a_reset_ends_every_session(
    token_service: Service, token_client: httpx.AsyncClient, ann: SignedInUser
) -> None:
    other = await tokens_of(token_client, ann.user["email"])
    token = await reset_token(token_service, token_client, ann.user["email"])
    await confirm(token_client, CONFIRM_RESET, token)
    for tokens in (ann.tokens, other):
        assert (await refresh(token_client, tokens["refresh_token"])).status_code == 400
    await asyncio.sleep(0.2)  # longer than access tokens are cached
    assert (await token_client.get("/users/me", headers=ann.headers)).status_code == 401


async def test_a_reset_mails_a_notice(
    token_service: Service, token_client: httpx.AsyncClient, ann: SignedInUser
) -> None:
    token = await reset_token(token_service, token_client, ann.user["email"])
    body = {"token": token, "new_password": NEW}
    await token_client.post(CONFIRM_RESET, json=body, headers={"accept-language": "de"})
    await token_service.do_jobs()
    notice = token_service.mailbox.take(ann.user["email"])
    assert (notice.template, notice.language) == (Template.PASSWORD_CHANGED, "de")
    assert "link" not in notice.context


async def test_a_reset_goes_to_the_stored_address_in_the_language_of_the_request(
    token_service: Service, token_client: httpx.AsyncClient
) -> None:
    await token_client.post("/users", json=new_user(email="Ann.Example@example.org", password=PASSWORD))
    await token_service.do_jobs()
    token_service.mailbox.mails.clear()
    typed = {"email": " ANN.example@EXAMPLE.org"}
    assert (await token_client.post(RESET, json=typed, headers={"accept-language": "de"})).status_code == 202
    await token_service.do_jobs()
    (mail,) = token_service.mailbox.mails
    assert (mail.to, mail.language, mail.template) == ("Ann.Example@example.org", "de", Template.RESET_PASSWORD)


async def test_a_reset_works_for_a_user_without_a_password(
    token_service: Service, token_client: httpx.AsyncClient, bob: Record
) -> None:
    token = await reset_token(token_service, token_client, bob["email"])
    assert (await confirm(token_client, CONFIRM_RESET, token)).status_code == 204
    assert (await sign_in(token_client, bob["email"], NEW)).status_code == 200


async def test_an_unknown_and_a_disabled_account_have_the_same_response_and_no_mail(
    token_service: Service, token_client: httpx.AsyncClient, ann: SignedInUser, admin: SignedInUser
) -> None:
    known = await token_client.post(RESET, json={"email": ann.user["email"]})
    await token_service.do_jobs()
    assert token_service.mailbox.to(ann.user["email"]) == [Template.RESET_PASSWORD]
    token_service.mailbox.mails.clear()
    await token_client.patch(path_of(ann.user), json={"active": False}, headers=admin.headers)
    for email in (ann.user["email"], "unknown@example.org"):
        answer = await token_client.post(RESET, json={"email": email})
        assert (answer.status_code, answer.content) == (known.status_code, known.content) == (202, b"")
        assert set(answer.headers) == set(known.headers)
    await token_service.do_jobs()
    assert token_service.mailbox.mails == []


@pytest.mark.parametrize("email", ["", "unknown", "a@", "\x00@example.org", "a@b"])
async def test_what_is_no_address_is_422(memory_token_client: httpx.AsyncClient, email: str) -> None:
    assert pointers_of(await memory_token_client.post(RESET, json={"email": email})) == {"/email"}


@pytest.mark.every_store
async def test_of_fifty_parallel_resets_with_one_link_one_succeeds(
    token_service: Service, token_client: httpx.AsyncClient, ann: SignedInUser
) -> None:
    token = await reset_token(token_service, token_client, ann.user["email"])
    passwords = [f"{NEW} {number}" for number in range(50)]
    answers = await asyncio.gather(*(confirm(token_client, CONFIRM_RESET, token, each) for each in passwords))
    assert sorted(answer.status_code for answer in answers) == [204] + [400] * 49
    (winner,) = [each for each, answer in zip(passwords, answers, strict=True) if answer.status_code == 204]
    assert (await sign_in(token_client, ann.user["email"], winner)).status_code == 200


async def test_a_bad_new_password_does_not_use_the_link_up(
    token_service: Service, token_client: httpx.AsyncClient, ann: SignedInUser
) -> None:
    token = await reset_token(token_service, token_client, ann.user["email"])
    for bad in ("short", "password1", ann.user["email"], "x" * 257):
        assert pointers_of(await confirm(token_client, CONFIRM_RESET, token, bad)) == {"/new_password"}
    assert (await confirm(token_client, CONFIRM_RESET, token)).status_code == 204


async def test_a_token_that_is_refused_at_the_wrong_call_works_at_the_right_one(
    token_service: Service, token_client: httpx.AsyncClient, ann: SignedInUser
) -> None:
    token = await reset_token(token_service, token_client, ann.user["email"])
    for path in ("/auth/email-verification/confirm", "/auth/email-change/confirm", "/auth/email-change/undo"):
        refused = await token_client.post(path, json={"token": token})
        assert (refused.status_code, code_of(refused)) == (400, "invalid_token")
    assert (await confirm(token_client, CONFIRM_INVITATION, token)).status_code == 400
    assert (await confirm(token_client, CONFIRM_RESET, token)).status_code == 204


async def test_a_changed_password_voids_a_reset(
    token_service: Service, token_client: httpx.AsyncClient, ann: SignedInUser
) -> None:
    token = await reset_token(token_service, token_client, ann.user["email"])
    change = {"current_password": PASSWORD, "new_password": f"{NEW} 2"}
    changed = await token_client.put("/users/me/password", json=change, headers=ann.headers)
    assert changed.status_code == 204
    refused = await confirm(token_client, CONFIRM_RESET, token)
    assert (refused.status_code, code_of(refused)) == (400, "invalid_token")


async def test_a_newer_reset_voids_an_older_one(
    token_service: Service, token_client: httpx.AsyncClient, ann: SignedInUser
) -> None:
    older, newer = [await reset_token(token_service, token_client, ann.user["email"]) for _ in range(2)]
    assert (await confirm(token_client, CONFIRM_RESET, older)).status_code == 400
    assert (await confirm(token_client, CONFIRM_RESET, newer)).status_code == 204


async def test_a_disabled_user_cannot_use_a_reset(
    token_service: Service, token_client: httpx.AsyncClient, ann: SignedInUser, admin: SignedInUser
) -> None:
    token = await reset_token(token_service, token_client, ann.user["email"])
    for active in (False, True):
        await token_client.patch(path_of(ann.user), json={"active": active}, headers=admin.headers)
        assert (await confirm(token_client, CONFIRM_RESET, token)).status_code == 400


async def test_another_address_voids_a_reset(
    token_service: Service, token_client: httpx.AsyncClient, ann: SignedInUser, admin: SignedInUser
) -> None:
    token = await reset_token(token_service, token_client, ann.user["email"])
    await token_client.patch(path_of(ann.user), json={"email": "else@example.org"}, headers=admin.headers)
    assert (await confirm(token_client, CONFIRM_RESET, token)).status_code == 400


async def test_the_storage_contains_no_token(
    token_service: Service, token_client: httpx.AsyncClient, ann: SignedInUser
) -> None:
    await token_client.post(RESET, json={"email": ann.user["email"]})
    await token_client.post("/auth/email-verification", headers=ann.headers)
    stored = [await everything_stored(token_service)]
    await token_service.do_jobs()
    stored.append(await everything_stored(token_service))
    assert len(token_service.mailbox.mails) == 2
    for mail in token_service.mailbox.mails:
        secret = token_of(mail)[22:]  # without the user's id
        assert len(secret) == 42
        assert not [text for text in stored if secret in text]
    assert "one_time_tokens" in stored[1]


async def everything_stored(service: Service) -> str:
    unit = service.storage.unit_of_work()
    return json.dumps(
        {
            each.name: [each.to_json(record) for record in await unit.records(each).page(limit=200)]
            for each in RECORD_TYPES
        }
    )


# Invitation


async def test_an_invited_user_sets_the_first_password_and_is_verified(
    token_service: Service, token_client: httpx.AsyncClient, admin: SignedInUser, bob: Record
) -> None:
    token = await invitation_token(token_service, token_client, admin, bob)
    confirmed = await confirm(token_client, CONFIRM_INVITATION, token)
    assert (confirmed.status_code, confirmed.content) == (204, b"")
    assert (await sign_in(token_client, bob["email"], NEW)).status_code == 200
    user = await token_client.get(path_of(bob), headers=admin.headers)
    assert user.json()["email_verified"] is True


async def test_an_invitation_is_in_english_for_an_admin_causes_it(
    token_service: Service, token_client: httpx.AsyncClient, admin: SignedInUser, bob: Record
) -> None:
    headers = {**admin.headers, "accept-language": "de"}
    await token_client.post(f"{path_of(bob)}/invitation", headers=headers)
    await token_service.do_jobs()
    assert token_service.mailbox.take(bob["email"]).language == "en"


async def test_a_user_with_a_password_is_not_invited(
    token_client: httpx.AsyncClient, admin: SignedInUser, ann: SignedInUser
) -> None:
    refused = await token_client.post(f"{path_of(ann.user)}/invitation", headers=admin.headers)
    assert (refused.status_code, code_of(refused)) == (409, "has_password")


async def test_only_an_admin_invites_and_only_who_is_there(
    token_client: httpx.AsyncClient, admin: SignedInUser, ann: SignedInUser, bob: Record
) -> None:
    for path in (path_of(bob), path_of(ann.user), "/users/me", f"/users/{UNKNOWN_ID}"):
        assert (await token_client.post(f"{path}/invitation", headers=ann.headers)).status_code == 404
    assert (await token_client.post(f"/users/{UNKNOWN_ID}/invitation", headers=admin.headers)).status_code == 404


async def test_an_invitation_works_once_and_not_beside_another_password(
    token_service: Service, token_client: httpx.AsyncClient, admin: SignedInUser, bob: Record
) -> None:
    older = await invitation_token(token_service, token_client, admin, bob)
    token = await invitation_token(token_service, token_client, admin, bob)
    assert (await confirm(token_client, CONFIRM_INVITATION, older)).status_code == 400
    assert pointers_of(await confirm(token_client, CONFIRM_INVITATION, token, "short")) == {"/new_password"}
    answers = await asyncio.gather(*(confirm(token_client, CONFIRM_INVITATION, token) for _ in range(50)))
    assert sorted(answer.status_code for answer in answers) == [204] + [400] * 49


async def test_a_password_that_was_set_otherwise_voids_an_invitation(
    token_service: Service, token_client: httpx.AsyncClient, admin: SignedInUser, bob: Record
) -> None:
    token = await invitation_token(token_service, token_client, admin, bob)
    await token_client.put(f"{path_of(bob)}/password", json={"new_password": NEW}, headers=admin.headers)
    assert (await confirm(token_client, CONFIRM_INVITATION, token, f"{NEW} 2")).status_code == 400
    assert (await sign_in(token_client, bob["email"], NEW)).status_code == 200


async def test_an_invitation_is_no_reset_and_a_reset_no_invitation(
    token_service: Service, token_client: httpx.AsyncClient, admin: SignedInUser, bob: Record
) -> None:
    invitation = await invitation_token(token_service, token_client, admin, bob)
    reset = await reset_token(token_service, token_client, bob["email"])
    assert (await confirm(token_client, CONFIRM_RESET, invitation)).status_code == 400
    assert (await confirm(token_client, CONFIRM_INVITATION, reset)).status_code == 400
    assert (await token_service.storage.unit_of_work().records(CREDENTIALS).get(UserId(bob["id"]))) is None
    assert (await confirm(token_client, CONFIRM_INVITATION, invitation)).status_code == 204


# Notices


async def test_a_changed_password_is_mailed_as_a_notice(
    token_service: Service, token_client: httpx.AsyncClient, ann: SignedInUser, admin: SignedInUser
) -> None:
    own = {"current_password": PASSWORD, "new_password": NEW}
    german = {"accept-language": "de"}
    await token_client.put("/users/me/password", json=own, headers={**ann.headers, **german})
    await token_service.do_jobs()
    notice = token_service.mailbox.take(ann.user["email"])
    assert (notice.template, notice.language) == (Template.PASSWORD_CHANGED, "de")
    assert "link" not in notice.context
    by_admin = {"new_password": f"{NEW} 2"}
    await token_client.put(f"{path_of(ann.user)}/password", json=by_admin, headers={**admin.headers, **german})
    await token_service.do_jobs()
    assert token_service.mailbox.take(ann.user["email"]).language == "en"


async def test_a_refused_change_of_password_is_not_mailed(
    token_service: Service, token_client: httpx.AsyncClient, ann: SignedInUser
) -> None:
    wrong = {"current_password": f"not {PASSWORD}", "new_password": NEW}
    assert (await token_client.put("/users/me/password", json=wrong, headers=ann.headers)).status_code == 403
    await token_service.do_jobs()
    assert token_service.mailbox.mails == []


async def test_a_sign_in_from_a_new_place_is_mailed_as_a_notice(
    token_service: Service, token_client: httpx.AsyncClient, ann: SignedInUser
) -> None:
    await sign_in(token_client, ann.user["email"])
    await token_service.do_jobs()
    assert token_service.mailbox.mails == []
    async with token_service.connect(peer=("192.0.2.7", 50000)) as elsewhere:
        for _ in range(2):
            assert (await sign_in(elsewhere, ann.user["email"], headers={"accept-language": "de"})).status_code == 200
        await token_service.do_jobs()
        (notice,) = token_service.mailbox.mails
        assert (notice.template, notice.to, notice.language) == (Template.NEW_SIGN_IN, ann.user["email"], "de")
        assert notice.context["place"] == "192.0.2.7"
        token_service.mailbox.mails.clear()
        await sign_in(elsewhere, ann.user["email"], "wrong horse battery")
    async with token_service.connect(peer=("2001:db8::1", 50000)) as third:
        assert (await sign_in(third, ann.user["email"], "wrong horse battery")).status_code == 400
    await sign_in(token_client, ann.user["email"])
    await token_service.do_jobs()
    assert token_service.mailbox.mails == []


async def test_a_place_is_known_although_no_session_began_there_that_goes_on(
    token_service: Service, token_client: httpx.AsyncClient, ann: SignedInUser
) -> None:
    await token_client.post("/auth/revoke", data={"token": ann.tokens["refresh_token"]})
    await sign_in(token_client, ann.user["email"])
    await token_service.do_jobs()
    assert token_service.mailbox.mails == []
    async with token_service.connect(peer=("192.0.2.7", 50000)) as elsewhere:
        await sign_in(elsewhere, ann.user["email"])
    await token_service.do_jobs()
    assert token_service.mailbox.to(ann.user["email"]) == [Template.NEW_SIGN_IN]
