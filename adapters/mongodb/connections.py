from typing import Any, Final

from pymongo.monitoring import (
    ConnectionCheckedInEvent,
    ConnectionCheckedOutEvent,
    ConnectionClosedEvent,
    ConnectionCreatedEvent,
    ConnectionPoolListener,
)

MAX_CONNECTIONS: Final = 32


class ConnectionCounter(ConnectionPoolListener):
    """Counts the connections, and those that are checked out of their pool."""

    def __init__(self) -> None:
        self.in_use = 0
        self._open = 0

    @property
    def idle(self) -> int:
        return self._open - self.in_use

    @property
    def all_in_use(self) -> bool:
        return self.in_use >= MAX_CONNECTIONS

    def connection_checked_out(self, event: ConnectionCheckedOutEvent) -> None:
        self.in_use += 1

    def connection_checked_in(self, event: ConnectionCheckedInEvent) -> None:
        self.in_use -= 1

    def connection_created(self, event: ConnectionCreatedEvent) -> None:
        self._open += 1

    def connection_closed(self, event: ConnectionClosedEvent) -> None:
        self._open -= 1

    def _ignore(self, event: Any) -> None: ...

    # The driver requires a method for each of its events.
    pool_created = pool_ready = pool_cleared = pool_closed = _ignore
    connection_ready = _ignore
    connection_check_out_started = connection_check_out_failed = _ignore
