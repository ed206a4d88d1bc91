"""What a user signs in with; kept apart from `User`, so that no listing or export can carry it by accident."""

from dataclasses import dataclass, field, replace
from typing import Final, Self

from domain.records import RecordType
from domain.values import UserId


@dataclass(frozen=True, slots=True)
class Credential:
    """The hash of a user's password, in the form of its algorithm (a PHC string). Its repr hides it."""

    user_id: UserId
    password_hash: str = field(repr=False)
    version: int = 1

    def change(self, password_hash: str) -> Self:
        """Return the next state, with another hash."""
        return replace(self, password_hash=password_hash, version=self.version + 1)


CREDENTIALS: Final = RecordType("credentials", Credential, key="user_id", owner="user_id")
