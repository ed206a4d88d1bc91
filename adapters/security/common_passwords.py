from functools import cached_property
from typing import Final

from domain.values import Password

_HOW_MANY: Final = 10_000


class MostCommonPasswords:
    """The most frequent passwords of leaked collections, as the zxcvbn package ranks them."""

    def __contains__(self, password: Password, /) -> bool:
        return password.secret.lower() in self._passwords

    @cached_property
    def _passwords(self) -> frozenset[str]:
        # Imported when the first password is checked: the lists take a moment and some memory.
        from zxcvbn.frequency_lists import FREQUENCY_LISTS

        return frozenset(FREQUENCY_LISTS["passwords"][:_HOW_MANY])
