"""Sign in, refresh a session, sign out (RFC 6749, sections 4.3 and 6; RFC 7009)."""

import asyncio
import logging
from contextlib import suppress
from typing import Final

from application.concurrency import OptimisticRetry
from application.networks import network_of
from application.outbox.queue import MailQueue
from application.passwords import Passwords
from application.ports import Clock, DomainNames, IdSource, SecretSource, TokenSigner
from application.sessions.token_issuer import TokenIssuer, TokenPair
from application.sign_in.attempt import ClientInfo, SignInAttempt
from application.sign_in.throttle import SignInThrottle
from domain.errors import (
    InvalidAccessToken,
    InvalidCredentials,
    InvalidRefreshToken,
    InvalidValue,
    RefreshTokenReused,
)
from domain.refresh_token import RefreshToken
from domain.session import SESSIONS, Session
from domain.storage import Storage, UnitOfWork
from domain.user import User
from domain.values import Email, Password, UserId, Username

_MIN_FAILURE_SECONDS: Final = 0.5

_log = logging.getLogger("userport")


class SignInService:
    """Begins, refreshes and revokes sessions. Every method may also raise what the storage port raises."""

    def __init__(
        self,
        storage: Storage,
        clock: Clock,
        ids: IdSource,
        secrets: SecretSource,
        domain_names: DomainNames,
        passwords: Passwords,
        throttle: SignInThrottle,
        signer: TokenSigner,
        mails: MailQueue | None = None,
    ) -> None:
        """Without `mails`, users get no notice of a sign-in from a new place."""
        self._storage = storage
        self._clock = clock
        self._ids = ids
        self._domain_names = domain_names
        self._passwords = passwords
        self._throttle = throttle
        self._signer = signer
        self._mails = mails
        self._issuer = TokenIssuer(ids, secrets, signer)
        self._retry = OptimisticRetry()

    async def sign_in(self, name: str, password: str, client: ClientInfo) -> TokenPair:
        """Begin a session for the user with this email or username.

        Raises:
            InvalidCredentials: After the same work, and no sooner than half a second, for every reason.
            TooManyFailures: The account or the address is blocked for now.
            TooBusy: Too many passwords are being hashed.
        """
        loop = asyncio.get_running_loop()
        begun = loop.time()
        try:
            return await self._sign_in(name, Password.claimed(password), client)
        except InvalidCredentials:
            # An imported hash may take longer to verify than the one that unknown names are verified against.
            await asyncio.sleep(begun + _MIN_FAILURE_SECONDS - loop.time())
            raise

    async def refresh(self, token: str) -> TokenPair:
        """Return new tokens for a session; see `Session.refresh`.

        Raises:
            InvalidRefreshToken: The token is not valid. For `RefreshTokenReused` the session has been ended.
        """
        given = _parsed(token)

        async def attempt() -> TokenPair:
            unit = self._storage.unit_of_work()
            session = await unit.records(SESSIONS).get(given.session_id)
            if session is None:
                raise InvalidRefreshToken
            now = self._clock.now()
            try:
                following, current = session.refresh(given, now)
            except RefreshTokenReused:
                unit.records(SESSIONS).remove(session)
                await unit.commit()
                _log.warning("session %s is ended: a refresh token of it was used twice", session.id)
                raise
            if following is session:
                unit.records(SESSIONS).require(session)  # a failover of Redis could undo what a read shows
            else:
                unit.records(SESSIONS).save(following)
            # Concurrently: if the user turns out to be disabled, their sessions end anyway.
            user, _ = await asyncio.gather(unit.users.get(session.user_id), unit.commit())
            if user is None or not user.active:
                raise InvalidRefreshToken
            return self._issuer.issue(user, current, now, is_repeated=following is session)

        return await self._retry.run(given.session_id, attempt)

    async def revoke(self, token: str) -> None:
        """End the session of a refresh token or an access token. Any other token has no effect."""

        async def attempt() -> None:
            unit = self._storage.unit_of_work()
            session = await self._session_of(unit, token)
            if session is not None:
                unit.records(SESSIONS).remove(session)
                await unit.commit()

        await self._retry.run(token, attempt)

    async def _sign_in(self, name: str, password: Password, client: ClientInfo) -> TokenPair:
        parsed = self._parse(name)
        account = parsed.canonical if parsed else f"\0{name}"  # no name contains NUL
        home = None if client.address is None else network_of(client.address)
        throttled = await self._throttle.attempt(account, client.address, home)
        user, _ = await asyncio.gather(self._find(self._storage.unit_of_work(), parsed), throttled.read())
        # For an unknown name, the same work is done for a user who does not exist.
        user_id = user.id if user else self._ids.new(UserId)
        attempt = SignInAttempt(
            self._storage,
            self._clock,
            self._passwords,
            self._issuer,
            throttled,
            user_id=user_id,
            place=await self._throttle.location_digest(user_id, client.address),
            password=password,
            client=client,
            mails=self._mails,
        )
        return await attempt.run(user, self._retry)

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
