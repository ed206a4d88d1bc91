"""Listeners to the driver's events, which tell what its connections and monitors are doing."""

import asyncio
from typing import Any, Final

from pymongo.monitoring import (
    ConnectionCheckedInEvent,
    ConnectionCheckedOutEvent,
    ConnectionClosedEvent,
    ConnectionCreatedEvent,
    ConnectionPoolListener,
    ServerHeartbeatFailedEvent,
    ServerHeartbeatListener,
    ServerHeartbeatStartedEvent,
    ServerHeartbeatSucceededEvent,
)

MAX_CONNECTIONS: Final = 32
_HEARTBEAT_SECONDS: Final = 7  # to connect to a server that hangs, and for its handshake


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


class Heartbeats(ServerHeartbeatListener):
    """Tracks the driver's monitors while they may be opening a connection.

    A monitor that is cancelled while it connects leaks its socket, so the client is closed when none is connecting.
    """

    def __init__(self) -> None:
        self._pending: set[object] = set()
        self._ended = asyncio.Event()

    async def pause(self) -> None:
        """Return when no monitor is connecting, before another one can start, or after a timeout."""
        try:
            async with asyncio.timeout(_HEARTBEAT_SECONDS):
                while self._pending:
                    self._ended.clear()
                    await self._ended.wait()
        except TimeoutError:
            return

    def started(self, event: ServerHeartbeatStartedEvent) -> None:
        if not event.awaited:  # an awaited one uses an open connection
            self._pending.add(event.connection_id)

    def succeeded(self, event: ServerHeartbeatSucceededEvent) -> None:
        self._end(event.connection_id)

    def failed(self, event: ServerHeartbeatFailedEvent) -> None:
        self._end(event.connection_id)

    def _end(self, server: object) -> None:
        self._pending.discard(server)
        self._ended.set()
