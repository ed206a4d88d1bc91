"""The part of the environment that commands need before they load `settings`, whose library is slow."""

from enum import StrEnum
from typing import Final

PREFIX: Final = "USERPORT_"
COPY_TARGET: Final = f"{PREFIX}COPY_TO"
"""Not a setting: only `userport storage copy` reads this variable."""


class SettingsError(Exception):
    """A setting is wrong. The text is one line that names the setting and the remedy, without any secret."""


class Auth(StrEnum):
    """Whether the service requires access tokens."""

    OPEN = "open"
    TOKEN = "token"  # noqa: S105 - the mode's name
