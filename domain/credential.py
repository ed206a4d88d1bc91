"""The password hash of a user, kept apart from `User` so that no listing or export includes it by accident."""

from dataclasses import dataclass, field, replace
from typing import Final, Self

from domain.records import RecordType
from domain.values import UserId


@dataclass(frozen=True, slots=True)
class Credential:
    """The hash of a user's password, in its algorithm's own format (a PHC string). The repr hides it."""

    user_id: UserId
    password_hash: str = field(repr=False)
    version: int = 1

    def change(self, password_hash: str) -> Self:
        """Return the next state, with another hash."""
        return replace(self, password_hash=password_hash, version=self.version + 1)


CREDENTIALS: Final = RecordType("credentials", Credential, key="user_id", owner="user_id")
