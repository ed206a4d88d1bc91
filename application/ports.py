"""What the use cases need from outside, besides storage."""

from datetime import datetime
from typing import Protocol

from domain.values import Password, PostId, UserId


class Clock(Protocol):
    def now(self) -> datetime:
        """Tell the time, with its zone."""
        ...


class IdSource(Protocol):
    """Makes ids that nobody has yet, each greater than the ones that this process made before."""

    def user_id(self) -> UserId: ...

    def post_id(self) -> PostId: ...


class DomainNames(Protocol):
    def to_ascii(self, domain: str) -> str:
        """Turn a domain of any script into lower-case A-labels (RFC 5890, section 2.3.2.1).

        Raises `InvalidValue` when it is no domain name.
        """
        ...


class PasswordHasher(Protocol):
    async def hash(self, password: Password) -> str:
        """Hash a password slowly, without holding up other tasks; raises `TooBusy` when too many wait."""
        ...


class CommonPasswords(Protocol):
    def __contains__(self, password: Password, /) -> bool:
        """Tell whether this password, in any case, is one of the first that an attacker tries."""
        ...
