from functools import cached_property
from typing import Final

from domain.values import Password

_HOW_MANY: Final = 10_000


class MostCommonPasswords:
    """The most frequent leaked passwords, as ranked by the zxcvbn package."""

    def __contains__(self, password: Password, /) -> bool:
        return password.secret.lower() in self._passwords

    @cached_property
    def _passwords(self) -> frozenset[str]:
        # Imported with the first check: the lists cost time and memory.
        from zxcvbn.frequency_lists import FREQUENCY_LISTS

        return frozenset(FREQUENCY_LISTS["passwords"][:_HOW_MANY])
