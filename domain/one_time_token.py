"""The one-time tokens of mailed links."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from hmac import compare_digest
from typing import ClassVar, Final, Self
from uuid import UUID

from domain.errors import InvalidValue
from domain.records import RecordType
from domain.user import User
from domain.values import Id, JobId, UserId, truncate_to_milliseconds


class TokenPurpose(StrEnum):
    VERIFY_EMAIL = "verify_email"
    RESET_PASSWORD = "reset_password"  # noqa: S105 - a purpose
    CONFIRM_EMAIL_CHANGE = "confirm_email_change"
    UNDO_EMAIL_CHANGE = "undo_email_change"
    ACCEPT_INVITATION = "accept_invitation"

    @property
    def lifetime(self) -> timedelta:
        return _LIFETIMES[self]


_LIFETIMES: Final = {
    TokenPurpose.VERIFY_EMAIL: timedelta(hours=24),
    TokenPurpose.RESET_PASSWORD: timedelta(minutes=30),
    TokenPurpose.CONFIRM_EMAIL_CHANGE: timedelta(hours=24),
    TokenPurpose.UNDO_EMAIL_CHANGE: timedelta(hours=72),
    TokenPurpose.ACCEPT_INVITATION: timedelta(days=7),
}


@dataclass(frozen=True, slots=True)
class LinkToken:
    """The content of a link: the id of its record, and a 256-bit secret. The repr hides the secret."""

    SECRET_BYTES: ClassVar = 32
    _FORM: ClassVar = re.compile(r"[A-Za-z0-9_-]{64}")

    subject: Id
    secret: bytes = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        if cls._FORM.fullmatch(text) is None:
            raise InvalidValue("invalid_token", "must be the token of a link")
        content = urlsafe_b64decode(text)
        return cls(Id(str(UUID(bytes=content[:16]))), content[16:])

    @property
    def text(self) -> str:
        return urlsafe_b64encode(UUID(self.subject).bytes + self.secret).decode()

    @property
    def digest(self) -> str:
        """SHA-256 (FIPS 180-4) of the secret, in hexadecimal; a secret of this size needs no slow hash."""
        return sha256(self.secret).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class OneTimeToken:
    """One state of a one-time token.

    A user has one record for each purpose, in which a newer token replaces an older one, but one for each undo. A used
    or voided token is kept until it expires, so that a repeated job cannot create it again.
    """

    key: str
    user_id: UserId
    purpose: TokenPurpose
    request_id: JobId
    """The job that mails the link. The secret is derived from it; ids of later requests are greater."""

    digest: str = field(repr=False)
    address: str | None
    """The user's address at the request; a change of it voids the link. None if no change does."""

    credential_version: int | None
    """The version of the user's credential, 0 without one; another version voids the link. None if none does."""

    target: str | None
    """The address in question: the new one of a change, or the old one of an undo."""

    target_verified: bool
    is_void: bool
    version: int
    created_at: datetime
    expires_at: datetime

    @classmethod
    def create(
        cls,
        purpose: TokenPurpose,
        user: User,
        *,
        request_id: JobId,
        digest: str,
        now: datetime,
        credential_version: int | None = None,
        target: str | None = None,
        target_verified: bool = False,
    ) -> Self:
        """Return the first state of a token that the job `request_id` mails."""
        now = truncate_to_milliseconds(now)
        return cls(
            key=token_key(purpose, token_subject(purpose, user.id, request_id)),
            user_id=user.id,
            purpose=purpose,
            request_id=request_id,
            digest=digest,
            address=None if purpose is TokenPurpose.UNDO_EMAIL_CHANGE else user.email.address,
            credential_version=credential_version,
            target=target,
            target_verified=target_verified,
            is_void=False,
            version=1,
            created_at=now,
            expires_at=now + purpose.lifetime,
        )

    def accepts(self, given: LinkToken, now: datetime) -> bool:
        """Return whether this is the token of a link, and still valid."""
        return compare_digest(given.digest, self.digest) and not self.is_void and now < self.expires_at

    def is_valid_for(self, user: User) -> bool:
        """Return whether nothing about the user has voided the token. Nothing voids an undo."""
        return self.address is None or (user.active and user.email.address == self.address)

    def successor(self, newer: Self) -> Self:
        """Return the next state of this record, in which a newer token replaces it."""
        return replace(newer, version=self.version + 1)

    def void(self) -> Self:
        """Return the state of a token that has been used, or must not be."""
        return replace(self, is_void=True, version=self.version + 1)

    def with_digest(self, digest: str) -> Self:
        """Return the state with a secret from another key."""
        return replace(self, digest=digest, version=self.version + 1)


ONE_TIME_TOKENS: Final = RecordType("one_time_tokens", OneTimeToken, key="key", owner="user_id", due="expires_at")


def token_key(purpose: TokenPurpose, subject: Id) -> str:
    return f"{purpose.value}.{subject}"


def token_subject(purpose: TokenPurpose, user_id: UserId, request_id: JobId) -> Id:
    """Return the id in a link: the user's, or that of the request for an undo, of which a user may have several."""
    return request_id if purpose is TokenPurpose.UNDO_EMAIL_CHANGE else user_id
