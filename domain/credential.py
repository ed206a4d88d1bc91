"""What a user signs in with; kept apart from `User`, so that no listing or export can carry it by accident."""

from dataclasses import dataclass, field

from domain.values import UserId


@dataclass(frozen=True, slots=True)
class Credential:
    """The hash of a user's password, in the form of its algorithm (a PHC string). Its repr hides it."""

    user_id: UserId
    password_hash: str = field(repr=False)
