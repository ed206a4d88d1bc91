"""Signing in, staying so, and signing out (RFC 6749, sections 4.3 and 6; RFC 7009)."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Final

from application.concurrency import OptimisticRetry
from application.passwords import Passwords
from application.ports import AccessTokenClaims, Clock, DomainNames, IdSource, SecretSource, TokenSigner
from application.session_ends import sessions_of
from application.sign_in_limits import SignInLimits, place_of
from domain.credential import CREDENTIALS, Credential
from domain.errors import (
    InvalidAccessToken,
    InvalidCredentials,
    InvalidRefreshToken,
    InvalidValue,
    RefreshTokenReused,
    TooBusy,
)
from domain.refresh_token import RefreshToken
from domain.session import SESSIONS, Session
from domain.storage import Storage, UnitOfWork
from domain.user import User
from domain.values import Email, Password, SessionId, UserId, Username

ACCESS_LIFETIME: Final = timedelta(minutes=15)

_SECONDS_TO_REFUSE: Final = 0.5
_SALT_BYTES: Final = 32

_log = logging.getLogger("userport")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPair:
    """An access token and its refresh token, as returned by a sign-in and by every refresh."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in: timedelta = ACCESS_LIFETIME


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientInfo:
    """What is known about the client that signs in."""

    address: str | None = None
    user_agent: str | None = None


class SignInService:
    """The use cases around being signed in. Besides what each one names, all raise what the storage port may raise."""

    def __init__(
        self,
        storage: Storage,
        clock: Clock,
        ids: IdSource,
        secrets: SecretSource,
        domain_names: DomainNames,
        passwords: Passwords,
        limits: SignInLimits,
        signer: TokenSigner,
    ) -> None:
        self._storage = storage
        self._clock = clock
        self._ids = ids
        self._secrets = secrets
        self._domain_names = domain_names
        self._passwords = passwords
        self._limits = limits
        self._signer = signer
        self._retry = OptimisticRetry()

    async def sign_in(self, name: str, password: str, visitor: ClientInfo) -> TokenPair:
        """Begin a session for the user with this email or username.

        Raises `InvalidCredentials`, after the same work and no sooner than half a second, whatever was wrong; or
        `TooManyFailures`; or `TooBusy` when too many passwords are being checked.
        """
        loop = asyncio.get_running_loop()
        begun = loop.time()
        try:
            return await self._sign_in(name, Password.claimed(password), visitor)
        except InvalidCredentials:
            # A hash that was made elsewhere may take longer to check than ours, which nobody's name is checked by.
            await asyncio.sleep(begun + _SECONDS_TO_REFUSE - loop.time())
            raise

    async def refresh(self, token: str) -> TokenPair:
        """Go on with a session; see `Session.refresh`.

        Raises `InvalidRefreshToken`; when it is `RefreshTokenReused`, the session has been ended.
        """
        given = _parsed(token)

        async def attempt() -> TokenPair:
            unit = self._storage.unit_of_work()
            session = await unit.records(SESSIONS).get(given.session_id)
            if session is None:
                raise InvalidRefreshToken
            user = await unit.users.get(session.user_id)
            if user is None or not user.active:
                raise InvalidRefreshToken
            now = self._clock.now()
            try:
                following, current = session.refresh(given, now)
            except RefreshTokenReused:
                unit.records(SESSIONS).remove(session)
                await unit.commit()
                _log.warning("session %s is ended: a refresh token of it was used twice", session.id)
                raise
            if following is not session:
                unit.records(SESSIONS).save(following)
                await unit.commit()
            return self._grant(user, current, now)

        return await self._retry.run(given.session_id, attempt)

    async def revoke(self, token: str) -> None:
        """End the session of a refresh token or an access token; a token that is neither ends nothing."""

        async def attempt() -> None:
            unit = self._storage.unit_of_work()
            session = await self._session_of(unit, token)
            if session is not None:
                unit.records(SESSIONS).remove(session)
                await unit.commit()

        await self._retry.run(token, attempt)

    async def _sign_in(self, name: str, password: Password, visitor: ClientInfo) -> TokenPair:
        unit = self._storage.unit_of_work()
        written = self._parse(name)
        found = await self._find(unit, written)
        # For a name that is nobody's, the same is done for a user who does not exist; and its failures count together
        # however it is written, as they do for one that is somebody's. NUL is in no name.
        user_id = found.id if found else self._ids.new(UserId)
        account = found.id if found else written.canonical if written else f"\0{name}"
        place, now = place_of(account, visitor.address), self._clock.now()
        sessions = await sessions_of(unit, user_id)
        at_home = any(session.place == place and not session.has_expired(now) for session in sessions)
        limited = self._limits.attempt(account, visitor.address, place if at_home else None)
        await self._limits.check(limited)
        is_first = True
        verified: Credential | None = None
        renewed: str | None = None

        async def attempt() -> TokenPair:
            nonlocal is_first, verified, renewed
            unit = self._storage.unit_of_work()
            user = found if is_first else await unit.users.get(user_id)
            others = sessions if is_first else await sessions_of(unit, user_id)
            is_first = False
            credential = await unit.records(CREDENTIALS).get(user_id)
            if credential is None or credential != verified:
                if not await self._passwords.verify(
                    password, credential if user and user.active else None, visitor.address
                ):
                    raise InvalidCredentials
                verified = credential
            if user is None or credential is None or not user.active:
                raise InvalidCredentials
            unit.users.require(user)
            unit.records(CREDENTIALS).require(credential)
            if self._passwords.is_outdated(credential, password):
                with suppress(TooBusy):  # then it is renewed another time
                    renewed = renewed or await self._passwords.hash(password, visitor.address)
                    unit.records(CREDENTIALS).save(credential.change(renewed))
            await self._limits.stage_success(unit, limited)
            grant = self._begin(unit, user, others, place, visitor.user_agent)
            await unit.commit()
            return grant

        try:
            return await self._retry.run(user_id, attempt)
        except InvalidCredentials:
            await self._limits.count(limited)
            raise

    def _begin(
        self, unit: UnitOfWork, user: User, others: Sequence[Session], place: str | None, user_agent: str | None
    ) -> TokenPair:
        """Stage a session, and the end of those others that have expired or are too many."""
        now = self._clock.now()
        for rank, session in enumerate(sorted(others, key=attrgetter("last_used_at"), reverse=True)):
            if session.has_expired(now) or rank >= Session.MOST_OF_A_USER - 1:
                unit.records(SESSIONS).remove(session)
        salt = self._secrets.secret(_SALT_BYTES).hex()
        secret = self._secrets.secret(RefreshToken.SECRET_BYTES)
        token = RefreshToken.first(self._ids.new(SessionId), secret, salt)
        unit.records(SESSIONS).add(
            Session.begin(token=token, salt=salt, user_id=user.id, user_agent=user_agent, place=place, now=now)
        )
        return self._grant(user, token, now)

    def _grant(self, user: User, token: RefreshToken, now: datetime) -> TokenPair:
        access = AccessTokenClaims(
            user_id=user.id, session_id=token.session_id, role=user.role, expires_at=now + ACCESS_LIFETIME
        )
        return TokenPair(access_token=self._signer.sign(access, now), refresh_token=token.text)

    def _parse(self, name: str) -> Email | Username | None:
        try:
            return Email.parse(name, self._domain_names.to_ascii) if "@" in name else Username.parse(name.strip())
        except InvalidValue:
            return None

    async def _find(self, unit: UnitOfWork, name: Email | Username | None) -> User | None:
        match name:
            case Email():
                return await unit.users.find_by_email(name)
            case Username():
                return await unit.users.find_by_username(name)
        return None

    async def _session_of(self, unit: UnitOfWork, token: str) -> Session | None:
        with suppress(InvalidRefreshToken):
            given = _parsed(token)
            session = await unit.records(SESSIONS).get(given.session_id)
            return session if session and session.owns(given) else None
        with suppress(InvalidAccessToken):
            access = self._signer.verify(token, self._clock.now())
            session = await unit.records(SESSIONS).get(access.session_id)
            return session if session and session.user_id == access.user_id else None
        return None


def _parsed(token: str) -> RefreshToken:
    try:
        return RefreshToken.parse(token)
    except InvalidValue:
        raise InvalidRefreshToken from None
