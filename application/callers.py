"""Who asks for something, and what they may reach."""

from dataclasses import dataclass
from typing import Final

from domain.errors import NotPermitted, UserNotFound
from domain.values import SessionId, UserId


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who asks: an admin may do everything, a member what concerns their own user alone."""

    user_id: UserId | None
    session_id: SessionId | None
    is_admin: bool

    @property
    def confined_to(self) -> UserId | None:
        """The only user whose records the caller may know of; None for an admin, who may know of all."""
        if self.is_admin:
            return None
        if self.user_id is None:
            raise NotPermitted
        return self.user_id

    def check_reaches(self, user_id: UserId) -> None:
        """Raise `UserNotFound` when the caller may not know of a user."""
        if self.confined_to not in (None, user_id):
            raise UserNotFound


NOBODY: Final = Caller(None, None, is_admin=False)
"""Somebody who has not signed in."""

OPERATOR: Final = Caller(None, None, is_admin=True)
"""Whoever is on this machine, where no sign-in is asked for."""
