"""Create, check and redeem one-time tokens."""

from collections.abc import Callable
from datetime import datetime
from typing import Final, NamedTuple

from application.ports import Clock, LinkSecrets
from domain.credential import CREDENTIALS, Credential
from domain.errors import InvalidOneTimeToken, InvalidValue
from domain.one_time_token import (
    ONE_TIME_TOKENS,
    LinkToken,
    OneTimeToken,
    TokenPurpose,
    token_key,
    token_subject,
)
from domain.storage import UnitOfWork
from domain.user import User
from domain.values import JobId, UserId

_MAX_TOKENS: Final = 1_000
"""Per user: one for each purpose, and an undo for every change of address within three days."""


class Redemption(NamedTuple):
    """A valid token, and the records that redeeming it may change."""

    token: OneTimeToken
    user: User
    credential: Credential | None
    """The user's credential; read only where it could void the token."""


class OneTimeTokens:
    """Stages and redeems one-time tokens. Methods that read may also raise what the storage port raises."""

    def __init__(self, clock: Clock, open_secrets: Callable[[], LinkSecrets]) -> None:
        """`open_secrets` reads the key, so that only code that creates or mails a link needs it."""
        self._clock = clock
        self._open_secrets = open_secrets

    async def find(self, unit: UnitOfWork, purpose: TokenPurpose, user_id: UserId) -> OneTimeToken | None:
        """Return the latest token of a user for a purpose other than an undo, valid or not."""
        return await unit.records(ONE_TIME_TOKENS).get(token_key(purpose, user_id))

    def stage(
        self,
        unit: UnitOfWork,
        purpose: TokenPurpose,
        user: User,
        request_id: JobId,
        *,
        requested_at: datetime | None = None,
        earlier: OneTimeToken | None = None,
        credential_version: int | None = None,
        target: str | None = None,
        target_verified: bool = False,
    ) -> OneTimeToken:
        """Stage a token, which replaces an earlier one of the same purpose, as `find` returns it.

        Its lifetime starts with the request, at the latest now. Concurrent requests make the commit raise `IdTaken` or
        `StaleVersion`.
        """
        created = OneTimeToken.create(
            purpose,
            user,
            request_id=request_id,
            digest=self.link_token(purpose, user.id, request_id).digest,
            now=requested_at or self._clock.now(),
            credential_version=credential_version,
            target=target,
            target_verified=target_verified,
        )
        if earlier is None:
            unit.records(ONE_TIME_TOKENS).add(created)
            return created
        created = earlier.successor(created)
        unit.records(ONE_TIME_TOKENS).save(created)
        return created

    async def redeem(self, unit: UnitOfWork, purpose: TokenPurpose, text: str) -> Redemption:
        """Stage the use of a token. Of concurrent commits that do so, one succeeds.

        Raises `InvalidOneTimeToken`.
        """
        given = parse_link_token(text)
        token = await unit.records(ONE_TIME_TOKENS).get(token_key(purpose, given.subject))
        if token is None or not token.accepts(given, self._clock.now()):
            raise InvalidOneTimeToken
        user = await unit.users.get(token.user_id)
        if user is None or not token.is_valid_for(user):
            raise InvalidOneTimeToken
        credential = None
        if token.credential_version is not None:
            credential = await unit.records(CREDENTIALS).get(user.id)
            if token.credential_version != version_of(credential):
                raise InvalidOneTimeToken
        unit.records(ONE_TIME_TOKENS).save(token.void())
        return Redemption(token, user, credential)

    async def stage_revocation(
        self, unit: UnitOfWork, user_id: UserId, *, used: OneTimeToken | None = None, undos_after: JobId | None = None
    ) -> None:
        """Stage the revocation of all of a user's tokens, except undos and the one already in use.

        Undos that were requested after `undos_after` are revoked, too.
        """
        tokens = unit.records(ONE_TIME_TOKENS)
        for token in await tokens.page(owner=user_id, limit=_MAX_TOKENS):
            if token.is_void or (used is not None and token.key == used.key):
                continue
            is_undo = token.purpose is TokenPurpose.UNDO_EMAIL_CHANGE
            if not is_undo or (undos_after is not None and token.request_id > undos_after):
                tokens.save(token.void())

    def link_token(self, purpose: TokenPurpose, user_id: UserId, request_id: JobId) -> LinkToken:
        """Return the token in the link of a request, whether or not it is still valid."""
        subject = token_subject(purpose, user_id, request_id)
        return LinkToken(subject, self._open_secrets().derive(f"{token_key(purpose, subject)}.{request_id}"))

    def sign_up_token(self, sign_up_id: UserId) -> LinkToken:
        """Return the token in the link of a pending sign-up."""
        return LinkToken(sign_up_id, self._open_secrets().derive(f"sign_up.{sign_up_id}"))


def parse_link_token(text: str) -> LinkToken:
    """Parse the token of a link. Raise `InvalidOneTimeToken`."""
    try:
        return LinkToken.parse(text)
    except InvalidValue:
        raise InvalidOneTimeToken from None


def version_of(credential: Credential | None) -> int:
    """Return the credential version that a token is bound to: changing the password voids it."""
    return 0 if credential is None else credential.version
