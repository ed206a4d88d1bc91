"""Mails, before they are rendered."""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final


class Template(StrEnum):
    """The templates; `CONTEXT_KEYS` lists the texts for each."""

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
    """Creates the account that was requested with this address."""

    SIGN_UP_ADDRESS_TAKEN = "sign-up-address-taken"
    """To the owner of an address that a sign-up was tried with. There is no link."""

    PASSWORD_CHANGED = "password-changed"  # noqa: S105 - a template's name
    """The password was changed or reset. There is no link."""

    NEW_SIGN_IN = "new-sign-in"
    """A sign-in from a network where the account was not signed in. There is no link."""

    TEST = "test"
    """An operator tests the settings. There is no link."""


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
"""The texts for each template, all of which every such mail has.

- `address`: the recipient's address: the account's, that of a sign-up, or the new or old one of a change.
- `link`: the page for the recipient, with the token in its fragment. Valid for 24 hours; a reset for 30 minutes, an
  undo for 72 hours, an invitation for 7 days.
- `new_address`: the address that replaces or has replaced the account's.
- `time`: the time of the event in UTC, such as `2026-11-20 20:36 UTC`.
- `place`: the IP address of the client, or `unknown`.

No mail contains another text that a user chose, such as a name: a sign-up could otherwise send advertisements.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """A mail to one recipient. The repr hides the context, which may contain a valid link."""

    template: str
    """The value of a `Template`."""

    to: str
    """An address like `Email.address`, possibly with a non-ASCII local part (RFC 6531)."""

    language: str
    """The value of a `Language`."""

    context: Mapping[str, str] = field(repr=False)

    message_id: str
    """The left side of the `Message-ID`, the same at every delivery; the sender adds its own domain (RFC 5322)."""

    date: datetime
    """The time of the cause, the same at every delivery."""
