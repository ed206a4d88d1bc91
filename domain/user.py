"""A person with an account."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum, StrEnum, auto
from typing import Final, Self

from domain.values import Bio, Email, Name, UserId, Username, fold, truncate_to_milliseconds


class Role(StrEnum):
    MEMBER = "member"
    ADMIN = "admin"


class Unset(Enum):
    """The type of `UNSET`, which means: leave this field unchanged."""

    UNSET = auto()


UNSET: Final = Unset.UNSET


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """One immutable state of a user.

    The constructor is for stores, which restore registered users. `version` counts the states from 1, so it shows
    whether a record has changed since it was read. Times are UTC, in whole milliseconds.
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
        """The folded texts whose prefixes find this user; see `SearchPrefix`."""
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
        """Return the first state of a new user."""
        now = truncate_to_milliseconds(now)
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
        email: Email | Unset = UNSET,
        name: Name | Unset = UNSET,
        username: Username | Unset | None = UNSET,
        bio: Bio | Unset | None = UNSET,
        role: Role | Unset = UNSET,
        active: bool | Unset = UNSET,
        email_verified: bool | Unset = UNSET,
    ) -> Self:
        """Return the next state, or this very object when nothing differs.

        Changing the email makes it unverified, unless `email_verified` is given. `updated_at` never decreases, even
        when the clock is set back.
        """
        is_other_email = email is not UNSET and email != self.email
        changed = replace(
            self,
            email=self.email if email is UNSET else email,
            name=self.name if name is UNSET else name,
            username=self.username if username is UNSET else username,
            bio=self.bio if bio is UNSET else bio,
            role=self.role if role is UNSET else role,
            active=self.active if active is UNSET else active,
            email_verified=(self.email_verified and not is_other_email if email_verified is UNSET else email_verified),
        )
        if changed == self:
            return self
        updated_at = max(self.updated_at, truncate_to_milliseconds(now))
        return replace(changed, version=self.version + 1, updated_at=updated_at)
