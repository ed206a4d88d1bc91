from collections.abc import Callable
from itertools import count
from time import monotonic
from typing import Final

_BUSY_REQUESTS_PER_SECOND: Final = 200


class Traffic:
    """Measures how many requests this process serves, so that its jobs yield to them."""

    def __init__(self) -> None:
        self.count_request: Final[Callable[[], int]] = count().__next__
        """To be called for each request; it costs no Python frame."""

        self._counted = 0
        self._since = monotonic()

    def is_busy(self) -> bool:
        """Return whether there were many requests a second since the previous call."""
        now, counted = monotonic(), self.count_request()
        is_busy = counted - self._counted > _BUSY_REQUESTS_PER_SECOND * (now - self._since)
        self._counted, self._since = counted + 1, now
        return is_busy
