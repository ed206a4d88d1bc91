from time import monotonic
from typing import Final

_BUSY_REQUESTS_PER_SECOND: Final = 200


class Traffic:
    """The requests that this process serves, to which its jobs give way."""

    def __init__(self) -> None:
        self._requests = 0
        self._since = monotonic()

    def add_request(self) -> None:
        self._requests += 1

    def is_busy(self) -> bool:
        """Return whether there were many requests since this was last called."""
        now = monotonic()
        is_busy = self._requests > _BUSY_REQUESTS_PER_SECOND * (now - self._since)
        self._requests, self._since = 0, now
        return is_busy
