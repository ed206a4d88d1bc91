"""Tokens that do not work, and bodies, paths and headers of any kind, at every call of mail."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from datetime import UTC, datetime
from typing import Any, Final, Self
from unicodedata import normalize
from urllib.parse import quote

import httpx
from hypothesis import given, settings
from hypothesis import strategies as st

from application.mail.message import Mail, Template
from tests.application.fakes import ManualClock
from tests.http.mailbox import token_of
from tests.http.records import new_user
from tests.http.service import Service, running
from tests.http.sign_in_helpers import PASSWORD, SIGNING_KEY, SignedInUser, a_member, an_admin, bearer

EXAMPLES: Final = 60
VERIFICATION: Final = "/auth/email-verification/confirm"
RESET: Final = "/auth/password-reset/confirm"
CHANGE: Final = "/auth/email-change/confirm"
UNDO: Final = "/auth/email-change/undo"
INVITATION: Final = "/auth/invitation/confirm"
PATHS: Final = {
    Template.VERIFY_EMAIL: VERIFICATION,
    Template.RESET_PASSWORD: RESET,
    Template.CONFIRM_EMAIL_CHANGE: CHANGE,
    Template.EMAIL_CHANGED: UNDO,
    Template.INVITATION: INVITATION,
}
REQUEST_VERIFICATION: Final = "/auth/email-verification"
REQUEST_CHANGE: Final = "/users/me/email-change"
NEW_PASSWORD: Final = "a long and quiet password"


class LongText(str):
    """Text whose repr is short, so that Hypothesis can print it."""

    __slots__ = ()

    def __new__(cls, size: int) -> Self:
        return super().__new__(cls, "ä" * size)

    def __repr__(self) -> str:
        return f"LongText({len(self)})"


LONG_TEXTS: Final = st.builds(LongText, st.integers(min_value=1, max_value=40_000))
VALUES: Final[st.SearchStrategy[Any]] = LONG_TEXTS | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
SEGMENTS: Final = st.text(st.characters(exclude_characters="/.", exclude_categories=["Cs"]), min_size=1)
HEADER_TEXTS: Final = st.text([chr(code) for code in range(32, 127)], max_size=50).map(str.strip)
ADDRESSES: Final = st.emails() | st.builds(
    "{}@{}".format, st.text(max_size=70), st.sampled_from(["example.org", "ü.de"])
)
FORMED: Final = st.text("ABCXYZabcxyz0189-_", min_size=64, max_size=64)


class World:
    """A service on memory, and tokens of every kind."""

    def __init__(self, runner: asyncio.Runner, service: Service, client: httpx.AsyncClient) -> None:
        self._runner: Final = runner
        self._service: Final = service
        self._client: Final = client
        self.spent: Final[list[str]] = []
        """Tokens that are expired, used or voided."""
        self.live: Final[dict[str, str]] = {}
        """Tokens that still work, and where."""
        self.member: SignedInUser
        self.admin: SignedInUser
        self.invited_id: str
        """A user without a password."""

    def post(self, path: str, body: object, headers: Mapping[str, str] | None = None) -> httpx.Response:
        content = json.dumps(body, ensure_ascii=False).encode()
        headers = {"content-type": "application/json", **(headers or {})}
        return self._runner.run(self._client.post(path, content=content, headers=headers))

    def mails(self) -> list[Mail]:
        """Do all jobs, and take the mails."""
        self._runner.run(self._service.do_jobs())
        mails = self._service.mailbox.mails.copy()
        self._service.mailbox.mails.clear()
        return mails

    async def prepare(self, clock: ManualClock) -> None:
        self.spent.extend((await self._tokens()).values())
        clock.move(days=8)
        used = await self._tokens()
        for path in (VERIFICATION, RESET, CHANGE, INVITATION):
            await self._confirm(path, used[path])
        used |= await self._mailed()
        await self._confirm(UNDO, used[UNDO])
        self.spent.extend([*used.values(), *(await self._tokens(times=2)).values()])
        await self._confirm(CHANGE, (await self._tokens())[CHANGE])
        for path, token in [*(await self._mailed()).items(), *(await self._tokens()).items()]:
            self.live[token] = path

    async def _tokens(self, times: int = 1) -> dict[str, str]:
        """Request a token of each kind that new users can request, several times; return the first ones."""
        ann, admin = await a_member(self._client), await an_admin(self._service, self._client)
        bob = (await self._client.post("/users", json=new_user(), headers=admin.headers)).json()
        self.member, self.admin, self.invited_id = ann, admin, bob["id"]
        tokens: dict[str, str] = {}
        for _ in range(times):
            await self._mailed()
            for path, body, headers in (
                (REQUEST_VERIFICATION, {}, ann.headers),
                ("/auth/password-reset", {"email": ann.user["email"]}, {}),
                (
                    REQUEST_CHANGE,
                    {"new_email": f"new.{ann.user['email']}", "current_password": PASSWORD},
                    ann.headers,
                ),
                (f"/users/{bob['id']}/invitation", {}, admin.headers),
            ):
                response = await self._client.post(path, headers=headers, json=body)
                assert response.status_code == 202, response.text
            tokens = await self._mailed() | tokens
        assert set(tokens) == {*PATHS.values()} - {UNDO}
        return tokens

    async def _confirm(self, path: str, token: str) -> None:
        response = await self._client.post(path, json=confirmation(path, token))
        assert response.status_code == 204, response.text

    async def _mailed(self) -> dict[str, str]:
        """Take the tokens out of all mails, by where they work."""
        await self._service.do_jobs()
        mails = [mail for mail in self._service.mailbox.mails if mail.template in PATHS]
        self._service.mailbox.mails.clear()
        return {PATHS[Template(mail.template)]: token_of(mail) for mail in mails}


@contextmanager
def a_world() -> Iterator[World]:
    clock = ManualClock()
    clock.time = datetime.now(UTC)
    kinds = ("mails_per_account", "mails_per_address", "sign_in_failures_per_account", "sign_in_failures_per_address")
    unlimited: Mapping[str, Any] = dict.fromkeys(kinds, 0)
    with asyncio.Runner() as runner:
        ends = AsyncExitStack()
        opened = running(hashes=False, signing_key=SIGNING_KEY, clock=clock, **unlimited)
        service = runner.run(ends.enter_async_context(opened))
        client = runner.run(ends.enter_async_context(service.connect(documented=False)))
        try:
            world = World(runner, service, client)
            runner.run(world.prepare(clock))
            yield world
        finally:
            runner.run(ends.aclose())


def confirmation(path: str, token: object) -> Mapping[str, object]:
    return {"token": token, **({"new_password": NEW_PASSWORD} if path in (RESET, INVITATION) else {})}


def without_ids(response: httpx.Response) -> Mapping[str, object]:
    return {key: value for key, value in response.json().items() if key not in ("instance", "request_id")}


def test_a_token_that_does_not_work_is_400_and_always_the_same() -> None:
    with a_world() as world:
        expected = without_ids(world.post(VERIFICATION, confirmation(VERIFICATION, world.spent[0])))
        assert (expected["status"], expected["code"]) == (400, "invalid_token")
        tokens = st.sampled_from([*world.spent, *world.live])
        places, characters = st.integers(0, 63), st.sampled_from("Aa0-")
        changed = st.builds(
            lambda token, place, character: token[:place] + character + token[place + 1 :], tokens, places, characters
        )

        @settings(max_examples=EXAMPLES)
        @given(st.sampled_from(list(PATHS.values())), tokens | changed | FORMED | st.text() | LONG_TEXTS)
        def check(path: str, token: str) -> None:
            if world.live.get(token.strip()) != path:
                response = world.post(path, confirmation(path, token))
                assert without_ids(response) == expected

        check()


def test_a_body_of_any_kind_is_never_a_server_error() -> None:
    with a_world() as world:
        fields = ("token", "new_password", "email", "name", "new_email", "current_password")
        bodies = VALUES | st.dictionaries(st.sampled_from(fields), VALUES, max_size=3)

        @settings(max_examples=EXAMPLES)
        @given(st.sampled_from([*PATHS.values(), "/auth/password-reset", "/users"]), bodies)
        def check(path: str, body: object) -> None:
            response = world.post(path, body)
            assert response.status_code in (400, 422) or response.is_success, response.text
            if response.status_code == 400:
                assert response.json()["code"] in ("invalid_json", "invalid_token")

        check()


def test_a_signed_in_request_is_mailed_once_if_it_is_accepted_and_otherwise_not() -> None:
    with a_world() as world:
        member, admin = world.member, world.admin
        ids = [world.invited_id, member.user["id"], admin.user["id"], "me"]
        invitations = (st.sampled_from(ids) | st.uuids().map(str) | SEGMENTS).map(
            lambda user_id: f"/users/{quote(user_id, safe='')}/invitation"
        )
        changes = st.fixed_dictionaries(
            {"new_email": ADDRESSES | VALUES, "current_password": st.just(PASSWORD) | st.text()}
        )
        bodies = changes | st.dictionaries(st.sampled_from(["new_email", "current_password", "x"]), VALUES)
        paths = st.just(REQUEST_VERIFICATION) | st.just(REQUEST_CHANGE) | invitations
        callers = st.just(member.headers) | st.just(admin.headers) | HEADER_TEXTS.map(bearer)

        @settings(max_examples=4 * EXAMPLES)
        @given(paths, bodies, callers, HEADER_TEXTS)
        def check(path: str, body: Any, caller: Mapping[str, str], language: str) -> None:
            response = world.post(path, body, {**caller, "accept-language": language})
            mails = world.mails()
            assert all(mail.language in ("en", "de") for mail in mails)
            assert response.status_code in statuses(path, caller), response.text
            user = admin.user if caller == admin.headers else member.user
            if response.status_code != 202:
                assert mails == []
                return
            assert response.content == b""
            if path == REQUEST_CHANGE:
                assert [mail.to for mail in mails] == [mails[0].to, user["email"]]
                assert mails[0].to.partition("@")[0] in normalize("NFC", body["new_email"])
            else:
                (mail,) = mails
                assert mail.to == user["email"] or path == f"/users/{world.invited_id}/invitation"

        def statuses(path: str, caller: Mapping[str, str]) -> tuple[int, ...]:
            if caller not in (member.headers, admin.headers):
                return (401,)
            if path == REQUEST_VERIFICATION:
                return (202,)
            if path == REQUEST_CHANGE:
                return (202, 400, 403, 422)
            return (202, 404, 409) if caller == admin.headers else (404,)

        check()
