from typing import Final

from pymongo.monitoring import (
    ConnectionCheckedInEvent,
    ConnectionCheckedOutEvent,
    ConnectionCheckOutFailedEvent,
    ConnectionCheckOutStartedEvent,
    ConnectionClosedEvent,
    ConnectionCreatedEvent,
    ConnectionPoolListener,
    ConnectionReadyEvent,
    PoolClearedEvent,
    PoolClosedEvent,
    PoolCreatedEvent,
    PoolReadyEvent,
)

MAX_CONNECTIONS: Final = 32


class CountedConnections(ConnectionPoolListener):
    """Counts the connections that are out of their pool. The driver asks for a method for each of its events."""

    def __init__(self) -> None:
        self.in_use = 0

    @property
    def all_in_use(self) -> bool:
        return self.in_use >= MAX_CONNECTIONS

    def connection_checked_out(self, event: ConnectionCheckedOutEvent) -> None:
        self.in_use += 1

    def connection_checked_in(self, event: ConnectionCheckedInEvent) -> None:
        self.in_use -= 1

    def pool_created(self, event: PoolCreatedEvent) -> None: ...

    def pool_ready(self, event: PoolReadyEvent) -> None: ...

    def pool_cleared(self, event: PoolClearedEvent) -> None: ...

    def pool_closed(self, event: PoolClosedEvent) -> None: ...

    def connection_created(self, event: ConnectionCreatedEvent) -> None: ...

    def connection_ready(self, event: ConnectionReadyEvent) -> None: ...

    def connection_closed(self, event: ConnectionClosedEvent) -> None: ...

    def connection_check_out_started(self, event: ConnectionCheckOutStartedEvent) -> None: ...

    def connection_check_out_failed(self, event: ConnectionCheckOutFailedEvent) -> None: ...
