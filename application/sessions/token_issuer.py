"""Begin a session and issue its tokens."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from application.ports import AccessTokenClaims, IdSource, SecretSource, TokenSigner
from domain.refresh_token import RefreshToken
from domain.session import SESSIONS, Session
from domain.storage import UnitOfWork
from domain.user import User
from domain.values import SessionId

ACCESS_LIFETIME: Final = timedelta(minutes=15)

_SALT_BYTES: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPair:
    """An access token and its refresh token, as returned by a sign-in and by every refresh."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in: timedelta = ACCESS_LIFETIME
    is_repeated: bool = False
    """Whether the refresh token that got them had been used before, within the grace period."""


class TokenIssuer:
    """Begins sessions, and signs their access tokens."""

    def __init__(self, ids: IdSource, secrets: SecretSource, signer: TokenSigner) -> None:
        self._ids = ids
        self._secrets = secrets
        self._signer = signer

    def begin_session(
        self,
        unit: UnitOfWork,
        user: User,
        others: Sequence[Session],
        *,
        place: str | None,
        user_agent: str | None,
        now: datetime,
    ) -> TokenPair:
        """Stage a session, and the removal of expired and excess ones."""
        # Of sessions last used in the same millisecond, the one with the greater id is newer.
        latest_first = sorted(others, key=lambda session: (session.last_used_at, session.id), reverse=True)
        for rank, session in enumerate(latest_first):
            if session.has_expired(now) or rank >= Session.MAX_PER_USER - 1:
                unit.records(SESSIONS).remove(session)
        salt = self._secrets.secret(_SALT_BYTES).hex()
        secret = self._secrets.secret(RefreshToken.SECRET_BYTES)
        token = RefreshToken.first(self._ids.new(SessionId), secret, salt)
        unit.records(SESSIONS).add(
            Session.begin(token=token, salt=salt, user_id=user.id, user_agent=user_agent, place=place, now=now)
        )
        return self.issue(user, token, now)

    def issue(self, user: User, refresh_token: RefreshToken, now: datetime, *, is_repeated: bool = False) -> TokenPair:
        """Return a refresh token with a new access token for its session."""
        claims = AccessTokenClaims(
            user_id=user.id, session_id=refresh_token.session_id, role=user.role, expires_at=now + ACCESS_LIFETIME
        )
        return TokenPair(
            access_token=self._signer.sign(claims, now), refresh_token=refresh_token.text, is_repeated=is_repeated
        )
