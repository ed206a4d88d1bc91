from functools import cached_property
from importlib.resources import files
from typing import Final

from domain.values import Password

_FILE: Final = files("adapters.security") / "common_passwords.txt"


class MostCommonPasswords:
    """The 10,000 most frequent passwords of leaked collections, less those that are too short to be chosen."""

    def __contains__(self, password: Password, /) -> bool:
        return password.secret.lower() in self._passwords

    @cached_property
    def _passwords(self) -> frozenset[str]:
        return frozenset(_FILE.read_text(encoding="ascii").splitlines())
