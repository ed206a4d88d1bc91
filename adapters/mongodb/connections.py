from typing import Any, Final

from pymongo.monitoring import ConnectionCheckedInEvent, ConnectionCheckedOutEvent, ConnectionPoolListener

MAX_CONNECTIONS: Final = 32


class ConnectionCounter(ConnectionPoolListener):
    """Counts the connections that are checked out of their pool."""

    def __init__(self) -> None:
        self.in_use = 0

    @property
    def all_in_use(self) -> bool:
        return self.in_use >= MAX_CONNECTIONS

    def connection_checked_out(self, event: ConnectionCheckedOutEvent) -> None:
        self.in_use += 1

    def connection_checked_in(self, event: ConnectionCheckedInEvent) -> None:
        self.in_use -= 1

    def _ignore(self, event: Any) -> None: ...

    # The driver requires a method for each of its events.
    pool_created = pool_ready = pool_cleared = pool_closed = _ignore
    connection_created = connection_ready = connection_closed = _ignore
    connection_check_out_started = connection_check_out_failed = _ignore
