"""A person with an account."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum, StrEnum, auto
from typing import Final, Self

from domain.values import Bio, Email, Name, UserId, Username, cut_to_milliseconds, fold


class Role(StrEnum):
    MEMBER = "member"
    ADMIN = "admin"


class Keep(Enum):
    """The type of `KEEP`, which says of a field: leave it as it is."""

    KEEP = auto()


KEEP: Final = Keep.KEEP


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """One state of a user; what changes it returns another.

    The constructor is for storage, which restores what was once registered. `version` counts the states from
    1, so it tells whether a record is still the one that was read. Times are UTC, in whole milliseconds.
    """

    id: UserId
    email: Email
    name: Name
    username: Username | None
    bio: Bio | None
    role: Role
    active: bool
    email_verified: bool
    """Whether a link that was mailed to the address has been used."""
    version: int
    created_at: datetime
    updated_at: datetime

    @property
    def search_keys(self) -> tuple[str, ...]:
        """The folded texts by whose beginning this user can be found; see `SearchPrefix`."""
        keys = (fold(self.name), self.email.canonical)
        return keys if self.username is None else (*keys, self.username.canonical)

    @property
    def is_active_admin(self) -> bool:
        return self.active and self.role is Role.ADMIN

    @classmethod
    def register(
        cls,
        *,
        id: UserId,  # noqa: A002 - the entity's own word
        now: datetime,
        email: Email,
        name: Name,
        username: Username | None = None,
        bio: Bio | None = None,
        role: Role = Role.MEMBER,
        active: bool = True,
        email_verified: bool = False,
    ) -> Self:
        """Make the first state of a user who did not exist before."""
        now = cut_to_milliseconds(now)
        return cls(
            id=id,
            email=email,
            name=name,
            username=username,
            bio=bio,
            role=role,
            active=active,
            email_verified=email_verified,
            version=1,
            created_at=now,
            updated_at=now,
        )

    def change(
        self,
        *,
        now: datetime,
        email: Email | Keep = KEEP,
        name: Name | Keep = KEEP,
        username: Username | Keep | None = KEEP,
        bio: Bio | Keep | None = KEEP,
        role: Role | Keep = KEEP,
        active: bool | Keep = KEEP,
        email_verified: bool | Keep = KEEP,
    ) -> Self:
        """Make the next state, or return this very object when nothing would differ.

        Another address is unverified, unless `email_verified` says otherwise.
        `updated_at` never goes back, even when the clock does.
        """
        is_other_email = email is not KEEP and email != self.email
        changed = replace(
            self,
            email=self.email if email is KEEP else email,
            name=self.name if name is KEEP else name,
            username=self.username if username is KEEP else username,
            bio=self.bio if bio is KEEP else bio,
            role=self.role if role is KEEP else role,
            active=self.active if active is KEEP else active,
            email_verified=(self.email_verified and not is_other_email if email_verified is KEEP else email_verified),
        )
        if changed == self:
            return self
        updated_at = max(self.updated_at, cut_to_milliseconds(now))
        return replace(changed, version=self.version + 1, updated_at=updated_at)
