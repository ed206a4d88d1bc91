"""Sign-ups that wait for a confirmation, before which there is no user."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hmac import compare_digest
from typing import ClassVar, Final, Self

from domain.one_time_token import LinkToken
from domain.records import RecordType
from domain.user import User
from domain.values import Bio, Email, Name, UserId, Username, truncate_to_milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingSignUp:
    """The validated input of a sign-up. Several may wait for one address; the confirmed one becomes the user.

    The repr hides the digest of its token and the hash of its password.
    """

    LIFETIME: ClassVar = timedelta(hours=24)

    id: UserId
    """The subject of its link. The user gets another id, made at the confirmation."""

    email: str
    email_key: str
    name: Name
    username: str | None
    username_key: str | None
    bio: Bio | None
    password_hash: str | None = field(repr=False)
    digest: str = field(repr=False)
    version: int
    created_at: datetime
    expires_at: datetime

    @classmethod
    def create(cls, user: User, *, password_hash: str | None, digest: str, now: datetime) -> Self:
        """Return the first state of a sign-up, whose confirmation registers this user."""
        now = truncate_to_milliseconds(now)
        username = user.username
        return cls(
            id=user.id,
            email=user.email.address,
            email_key=user.email.canonical,
            name=user.name,
            username=None if username is None else username.text,
            username_key=None if username is None else username.canonical,
            bio=user.bio,
            password_hash=password_hash,
            digest=digest,
            version=1,
            created_at=now,
            expires_at=now + cls.LIFETIME,
        )

    @property
    def address(self) -> Email:
        return Email(self.email, self.email_key)

    def accepts(self, given: LinkToken, now: datetime) -> bool:
        """Return whether a link confirms this sign-up, in time."""
        return compare_digest(given.digest, self.digest) and now < self.expires_at

    def with_digest(self, digest: str) -> Self:
        """Return the state with a secret from another key."""
        return replace(self, digest=digest, version=self.version + 1)

    def confirmed(self, user_id: UserId, now: datetime) -> User:
        """Return the user, whose address is verified."""
        return User.register(
            id=user_id,
            now=now,
            email=self.address,
            name=self.name,
            username=None if self.username is None else Username(self.username, self.username_key or ""),
            bio=self.bio,
            email_verified=True,
        )


PENDING_SIGN_UPS: Final = RecordType("pending_sign_ups", PendingSignUp, key="id", due="expires_at")
