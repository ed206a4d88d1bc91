"""A single attempt to sign in."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from application.concurrency import OptimisticRetry, commit_additions
from application.languages import Language
from application.mail.message import Template
from application.networks import ip_text
from application.outbox.queue import MailQueue
from application.passwords import Passwords
from application.ports import Clock
from application.sessions.revocation import sessions_of
from application.sessions.token_issuer import TokenIssuer, TokenPair
from application.sign_in.throttle import ThrottledAttempt
from domain.credential import CREDENTIALS, Credential
from domain.errors import InvalidCredentials, TooBusy
from domain.session import Session
from domain.sign_in_places import SIGN_IN_PLACES, SignInPlaces
from domain.storage import Storage, UnitOfWork
from domain.user import User
from domain.values import Password, UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientInfo:
    """What is known about the client that signs in."""

    address: str | None = None
    user_agent: str | None = None
    language: Language = Language.ENGLISH


@dataclass(frozen=True, slots=True)
class _Account:
    """The stored records of the user who signs in; for an unknown name, of a user who does not exist."""

    user: User | None
    sessions: Sequence[Session]
    credential: Credential | None


class SignInAttempt:
    """One attempt of a client to sign in with a password.

    It keeps the results of slow work (the verified password, a new hash) for retries after a conflict.
    """

    def __init__(
        self,
        storage: Storage,
        clock: Clock,
        passwords: Passwords,
        issuer: TokenIssuer,
        throttled: ThrottledAttempt,
        *,
        user_id: UserId,
        place: str | None,
        password: Password,
        client: ClientInfo,
        mails: MailQueue | None,
    ) -> None:
        self._storage = storage
        self._clock = clock
        self._passwords = passwords
        self._issuer = issuer
        self._throttled = throttled
        self._user_id = user_id
        self._place = place
        self._password = password
        self._client = client
        self._mails = mails
        self._account: _Account | None = None
        self._verified: Credential | None = None
        self._renewed_hash: str | None = None

    async def run(self, user: User | None, retry: OptimisticRetry) -> TokenPair:
        """Begin a session for a user who was just read.

        Raises:
            InvalidCredentials: The attempt was counted as a failure.
            TooManyFailures: The account or the address is blocked for now.
            TooBusy: Too many passwords are being hashed.
        """
        self._account = account = await self._read(self._storage.unit_of_work(), user)
        now = self._clock.now()
        self._throttled.at_home = any(
            session.place == self._place and not session.has_expired(now) for session in account.sessions
        )
        self._throttled.check()
        try:
            return await retry.run(self._user_id, self._commit_session)
        except InvalidCredentials:
            await self._throttled.count_failure()
            raise

    async def _commit_session(self) -> TokenPair:
        unit = self._storage.unit_of_work()
        account = self._account or await self._read(unit, await unit.users.get(self._user_id))
        self._account = None  # stale if the commit fails
        user, credential = await self._verify(account)
        unit.users.require(user)
        unit.records(CREDENTIALS).require(credential)
        await self._stage_renewed_hash(unit, credential)
        await asyncio.gather(self._throttled.stage_success(unit), self._stage_place(unit, user, account.sessions))
        tokens = self._issuer.begin_session(
            unit,
            user,
            account.sessions,
            place=self._place,
            user_agent=self._client.user_agent,
            now=self._clock.now(),
        )
        await commit_additions(unit)
        return tokens

    async def _stage_place(self, unit: UnitOfWork, user: User, sessions: Sequence[Session]) -> None:
        """Stage a record of a new place, and a notice to the user unless it is their first place."""
        if self._place is None or any(session.place == self._place for session in sessions):
            return
        places = await unit.records(SIGN_IN_PLACES).get(user.id)
        if places is None:
            unit.records(SIGN_IN_PLACES).add(SignInPlaces.first(user.id, self._place))
            return
        following = places.with_place(self._place)
        if following is not places:
            unit.records(SIGN_IN_PLACES).save(following)
            if self._mails is not None:
                place = ip_text(self._client.address)
                self._mails.stage_notice(unit, Template.NEW_SIGN_IN, user.email, self._client.language, place=place)

    async def _read(self, unit: UnitOfWork, user: User | None) -> _Account:
        sessions, credential = await asyncio.gather(
            sessions_of(unit, self._user_id), unit.records(CREDENTIALS).get(self._user_id)
        )
        return _Account(user, sessions, credential)

    async def _verify(self, account: _Account) -> tuple[User, Credential]:
        """Return user and credential if the password matches. Raise `InvalidCredentials`."""
        user, credential = account.user, account.credential
        if credential is None or credential != self._verified:
            may_sign_in = user is not None and user.active
            if not await self._passwords.verify(
                self._password, credential if may_sign_in else None, self._client.address
            ):
                raise InvalidCredentials
            self._verified = credential
        if user is None or credential is None or not user.active:
            raise InvalidCredentials
        return user, credential

    async def _stage_renewed_hash(self, unit: UnitOfWork, credential: Credential) -> None:
        if self._passwords.is_outdated(credential, self._password):
            with suppress(TooBusy):  # a later sign-in renews it
                self._renewed_hash = self._renewed_hash or await self._passwords.hash(
                    self._password, self._client.address
                )
                unit.records(CREDENTIALS).save(credential.change(self._renewed_hash))
