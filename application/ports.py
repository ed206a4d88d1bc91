"""The ports that use cases need besides storage."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

from application.mail.message import Mail
from domain.jobs import Job
from domain.storage import UnitOfWork
from domain.user import Role
from domain.values import Id, Password, SessionId, UserId

AnyId = TypeVar("AnyId", bound=Id)


class Clock(Protocol):
    """The current time."""

    def now(self) -> datetime:
        """Return the current time, with its zone."""
        ...


class IdSource(Protocol):
    """New ids."""

    def new(self, id_type: type[AnyId]) -> AnyId:
        """Return an unused id, greater than every id that this process made before."""
        ...


class SecretSource(Protocol):
    """Random secrets."""

    def secret(self, size: int) -> bytes:
        """Return cryptographically random bytes."""
        ...


class DomainNames(Protocol):
    """Internationalized domain names (IDNA)."""

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
        """Return whether `hash` would return a better hash: stronger, or one that covers all of this password."""
        ...

    def can_verify(self, password_hash: str) -> bool:
        """Return whether a foreign hash has a supported format and an affordable cost."""
        ...


class CommonPasswords(Protocol):
    """The passwords that attackers try first."""

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
    """Signs and verifies access tokens."""

    def sign(self, claims: AccessTokenClaims, now: datetime) -> str:
        """Return a signed access token (RFC 9068)."""
        ...

    def verify(self, token: str, now: datetime) -> AccessTokenClaims:
        """Return the claims of a token that was issued here and has not expired. Raise `InvalidAccessToken`."""
        ...

    def public_keys(self) -> Sequence[Mapping[str, str]]:
        """Return the public keys that verify tokens, as JSON Web Keys (RFC 7517, section 4)."""
        ...


class LinkSecrets(Protocol):
    """Derives the secrets in mailed links."""

    def derive(self, record: str) -> bytes:
        """Derive the secret of a record's link by HKDF (RFC 5869): 32 bytes, always the same for a record and key.

        The storage does not contain the key.
        """
        ...


class MailSender(Protocol):
    """Sends mails. Several tasks may use it at once."""

    async def send(self, mail: Mail) -> str:
        """Render a mail and deliver it; return the accepting server's answer in one line.

        Raises:
            MailDeferred: It may be accepted later, or it was accepted and the answer was lost.
            MailBlocked: It will be accepted once an operator has corrected a setting.
            MailRefused: It will never be accepted.
        """
        ...

    async def close(self) -> None:
        """Close all connections. A later `send` connects again."""
        ...


class Jobs(Protocol):
    """Stages background jobs."""

    def stage(self, unit: UnitOfWork, job: Job) -> None:
        """Stage a job in a unit of work. A process that runs jobs starts it right after the commit."""
        ...


class JobHandler(Protocol):
    """Runs the jobs of one kind."""

    async def __call__(self, job: Job, /) -> None:
        """Run a job, possibly again: every job is run at least once.

        An attempt has 50 seconds. After an exception that is not listed, the job is tried again later.

        Raises:
            JobFailed: The job can never be done.
            JobDelayed: It cannot be done now.
            JobBlocked: It cannot be done until an operator corrects something.
        """
        ...


class JobDelayed(Exception):
    """A job cannot be done now. The text says why, in one line for operators and without secrets."""


class JobBlocked(Exception):
    """A job waits for an operator, without using up an attempt. The text says for what, like `JobDelayed`."""


class JobFailed(Exception):
    """A job can never be done. The text says why, in one line for operators and without secrets."""
