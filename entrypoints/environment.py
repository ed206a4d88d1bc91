"""What commands know of the environment before they read it.

The library that reads `settings` takes longer to load than most commands take to run.
"""

from enum import StrEnum
from typing import Final

PREFIX: Final = "USERPORT_"
COPY_TARGET: Final = f"{PREFIX}COPY_TO"
"""The one variable that is not a setting: only `userport storage copy` reads it."""


class SettingsError(Exception):
    """A setting is wrong; the text is one line that names it and says what to do. It holds no secret."""


class Auth(StrEnum):
    """Who may call the service."""

    OPEN = "open"
    TOKEN = "token"  # noqa: S105 - the mode's name
