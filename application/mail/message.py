"""Mails, before they are rendered."""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final


class Template(StrEnum):
    """The templates there are; `CONTEXT_KEYS` names the texts that each one gets."""

    VERIFY_EMAIL = "verify-email"
    """Verifies the account's address. Also the first mail after a sign-up."""

    RESET_PASSWORD = "reset-password"  # noqa: S105 - a template's name
    """Sets a new password. Also sent after a change of address was undone."""

    CONFIRM_EMAIL_CHANGE = "confirm-email-change"
    """To the new address: confirms that it replaces the old one."""

    EMAIL_CHANGE_NOTICE = "email-change-notice"
    """To the old address: a change of address was requested, but not confirmed yet."""

    EMAIL_CHANGED = "email-changed"
    """To the old address: it was replaced, and a link undoes that for 72 hours."""

    EMAIL_CHANGED_BY_ADMIN = "email-changed-by-admin"
    """To the old address: an admin replaced it. There is no link."""

    INVITATION = "invitation"
    """Sets the first password of an account that an admin created."""

    SIGN_UP = "sign-up"
    """Creates the account that somebody asked for with this address."""

    SIGN_UP_ADDRESS_TAKEN = "sign-up-address-taken"
    """To an owner whose address somebody has tried to sign up with. There is no link."""

    PASSWORD_CHANGED = "password-changed"  # noqa: S105 - a template's name
    """The password was changed or reset. There is no link."""

    NEW_SIGN_IN = "new-sign-in"
    """Somebody signed in from a place where the account was not signed in. There is no link."""

    TEST = "test"
    """An operator tries the settings. There is no link."""


_LINK: Final = frozenset({"address", "link"})
_NOTICE: Final = frozenset({"address", "time"})

CONTEXT_KEYS: Final[Mapping[Template, Set[str]]] = {
    Template.VERIFY_EMAIL: _LINK,
    Template.RESET_PASSWORD: _LINK,
    Template.CONFIRM_EMAIL_CHANGE: _LINK,
    Template.EMAIL_CHANGE_NOTICE: _NOTICE | {"new_address"},
    Template.EMAIL_CHANGED: _LINK | {"new_address", "time"},
    Template.EMAIL_CHANGED_BY_ADMIN: _NOTICE | {"new_address"},
    Template.INVITATION: _LINK,
    Template.SIGN_UP: _LINK,
    Template.SIGN_UP_ADDRESS_TAKEN: _NOTICE,
    Template.PASSWORD_CHANGED: _NOTICE,
    Template.NEW_SIGN_IN: _NOTICE | {"place"},
    Template.TEST: _NOTICE,
}
"""The texts that each template is rendered with, all of them in every mail of it.

- `address`: the recipient's address: the account's, the one that a sign-up is for, or the new or old one of a change.
- `link`: where the recipient acts, with the token in its fragment. Valid for 24 hours; a reset for 30 minutes, an undo
  for 72 hours, an invitation for 7 days.
- `new_address`: what the address was or will be replaced by.
- `time`: when it happened, in UTC, as `2026-11-20 20:36 UTC`.
- `place`: the IP address that it came from, or `unknown`.

No mail holds another text that a user chose, such as a name: a sign-up could otherwise send advertisements to anybody.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """One mail to one recipient. Its repr hides the context, which may hold a link that works."""

    template: str
    """The value of a `Template`."""

    to: str
    """An address as `Email.address` has it: perhaps with a non-ASCII local part (RFC 6531)."""

    language: str
    """The value of a `Language`."""

    context: Mapping[str, str] = field(repr=False)

    message_id: str
    """The left side of the `Message-ID`, the same at every delivery; the sender adds its own domain (RFC 5322)."""

    date: datetime
    """When the mail was caused, the same at every delivery."""
