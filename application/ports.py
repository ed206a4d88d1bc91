"""The ports that use cases need besides storage."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

from domain.user import Role
from domain.values import Id, Password, SessionId, UserId

AnyId = TypeVar("AnyId", bound=Id)


class Clock(Protocol):
    def now(self) -> datetime:
        """Return the current time, with its zone."""
        ...


class IdSource(Protocol):
    def new(self, id_type: type[AnyId]) -> AnyId:
        """Return an unused id, greater than every id that this process made before."""
        ...


class SecretSource(Protocol):
    def secret(self, size: int) -> bytes:
        """Return cryptographically random bytes."""
        ...


class DomainNames(Protocol):
    def to_ascii(self, domain: str) -> str:
        """Convert a domain in any script to lower-case A-labels (RFC 5890, section 2.3.2.1).

        Raises:
            InvalidValue: It is not a domain name.
        """
        ...


class PasswordHasher(Protocol):
    """Hashes and verifies passwords, slowly on purpose but without blocking other tasks.

    Coroutines raise `TooBusy` when too many calls wait.
    """

    async def hash(self, password: Password) -> str: ...

    async def verify(self, password: Password, password_hash: str | None) -> bool:
        """Return whether a hash is of this password. None never matches, but takes as long."""
        ...

    def is_outdated(self, password_hash: str, password: Password | None = None) -> bool:
        """Return whether `hash` would make a better hash today: stronger or, for this password, one of it alone."""
        ...

    def can_verify(self, password_hash: str) -> bool:
        """Return whether a foreign hash has a supported format and an affordable cost."""
        ...


class CommonPasswords(Protocol):
    def __contains__(self, password: Password, /) -> bool:
        """Return whether this password, in any case, is a common one."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessTokenClaims:
    """The claims of an access token that userport evaluates."""

    user_id: UserId
    session_id: SessionId
    role: Role
    expires_at: datetime


class TokenSigner(Protocol):
    def sign(self, claims: AccessTokenClaims, now: datetime) -> str:
        """Return a signed access token (RFC 9068)."""
        ...

    def verify(self, token: str, now: datetime) -> AccessTokenClaims:
        """Return the claims of a token that was issued here and has not expired. Raise `InvalidAccessToken`."""
        ...

    def public_keys(self) -> Sequence[Mapping[str, str]]:
        """Return the public keys that verify tokens, as JSON Web Keys (RFC 7517, section 4)."""
        ...
