"""The caller of a use case, and the records that they may access."""

from dataclasses import dataclass
from typing import Final

from domain.errors import NotPermitted, UserNotFound
from domain.values import SessionId, UserId


@dataclass(frozen=True, slots=True)
class Principal:
    """The authenticated caller of a use case. An admin may access every record, a member only their own."""

    user_id: UserId | None
    session_id: SessionId | None
    is_admin: bool

    @property
    def restricted_to(self) -> UserId | None:
        """Return the only user whose records the caller may access, or None for an admin, who may access all.

        Raises:
            NotPermitted: The caller is neither an admin nor signed in.
        """
        if self.is_admin:
            return None
        if self.user_id is None:
            raise NotPermitted
        return self.user_id

    def check_may_access(self, user_id: UserId) -> None:
        """Raise `UserNotFound` unless the caller may access the records of this user."""
        if self.restricted_to not in (None, user_id):
            raise UserNotFound


ANONYMOUS: Final = Principal(None, None, is_admin=False)
"""A caller who has not signed in."""

OPERATOR: Final = Principal(None, None, is_admin=True)
"""The caller in open mode, where every local request has the rights of an admin."""
