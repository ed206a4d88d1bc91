"""A sign-in on one device: a family of refresh tokens of which one at a time is valid."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hmac import compare_digest
from typing import ClassVar, Final, Self
from unicodedata import category

from domain.errors import InvalidRefreshToken, RefreshTokenReused
from domain.records import RecordType
from domain.refresh_token import RefreshToken
from domain.values import SessionId, UserId, truncate_to_milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One state of a session, versioned like a `User`. The repr hides the digest and the salt of its tokens."""

    MAX_LIFETIME: ClassVar = timedelta(days=30)  # NIST SP 800-63B-4, section 2.1.3
    IDLE_TIMEOUT: ClassVar = timedelta(days=7)
    REUSE_GRACE_PERIOD: ClassVar = timedelta(seconds=10)
    """How long after its use a refresh token is still accepted, for clients that missed the response."""
    MAX_REFRESHES_IN_GRACE: ClassVar = 100
    """How many refreshes are remembered. It bounds work and size; no client makes more within the grace period."""
    MAX_PER_USER: ClassVar = 50
    MAX_USER_AGENT_LENGTH: ClassVar = 200

    id: SessionId
    user_id: UserId
    user_agent: str | None
    place: str | None
    """A digest of the client's network at sign-in. It separates the user's own failed sign-ins from those of others."""
    token_digest: str = field(repr=False)
    salt: str = field(repr=False)
    refreshed_at: tuple[datetime, ...]
    """The times of the latest refreshes, as far back as they could still be repeated."""
    version: int
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime

    @classmethod
    def begin(
        cls,
        *,
        token: RefreshToken,
        salt: str,
        user_id: UserId,
        user_agent: str | None,
        place: str | None,
        now: datetime,
    ) -> Self:
        """Return the first state of a session, which `token` will refresh."""
        now = truncate_to_milliseconds(now)
        return cls(
            id=token.session_id,
            user_id=user_id,
            user_agent=None if user_agent is None else _visible(user_agent[: cls.MAX_USER_AGENT_LENGTH]),
            place=place,
            token_digest=token.digest,
            salt=salt,
            refreshed_at=(),
            version=1,
            created_at=now,
            last_used_at=now,
            expires_at=now + cls.IDLE_TIMEOUT,
        )

    def has_expired(self, now: datetime) -> bool:
        return now >= self.expires_at

    def owns(self, token: RefreshToken) -> bool:
        """Return whether this session issued the token."""
        return token.session_id == self.id and token.is_proven(self.salt)

    def refresh(self, token: RefreshToken, now: datetime) -> tuple[Self, RefreshToken]:
        """Use up the current token; return the next state and its current token.

        A token that was used within the grace period changes nothing: this very object and the current token are
        returned.

        Raises:
            InvalidRefreshToken: The token is not of this session, or the session has expired.
            RefreshTokenReused: The token was used earlier, so it may be stolen.
        """
        if not self.owns(token) or self.has_expired(now):
            raise InvalidRefreshToken
        now = max(truncate_to_milliseconds(now), self.last_used_at)
        if self._is_current(token):
            return self._refreshed(token.successor(self.salt), now)
        for refreshed_at in reversed(self.refreshed_at):
            # The token was used recently if its successors lead to the current one.
            token = token.successor(self.salt)
            if self._is_current(token):
                if now - refreshed_at > self.REUSE_GRACE_PERIOD:
                    break
                return self, token
        are_all_known = len(self.refreshed_at) < self.MAX_REFRESHES_IN_GRACE
        if not are_all_known and now - self.refreshed_at[0] <= self.REUSE_GRACE_PERIOD:
            raise InvalidRefreshToken  # whether it was used long ago cannot be known
        raise RefreshTokenReused

    def _is_current(self, token: RefreshToken) -> bool:
        return compare_digest(token.digest, self.token_digest)

    def _refreshed(self, token: RefreshToken, now: datetime) -> tuple[Self, RefreshToken]:
        recent = [then for then in self.refreshed_at if now - then <= self.REUSE_GRACE_PERIOD]
        state = replace(
            self,
            token_digest=token.digest,
            refreshed_at=(*recent, now)[-self.MAX_REFRESHES_IN_GRACE :],
            version=self.version + 1,
            last_used_at=now,
            expires_at=min(self.created_at + self.MAX_LIFETIME, now + self.IDLE_TIMEOUT),
        )
        return state, token


SESSIONS: Final = RecordType("sessions", Session, key="id", owner="user_id", due="expires_at")


def _visible(text: str) -> str:
    return "".join(character if category(character)[0] != "C" else "?" for character in text)
