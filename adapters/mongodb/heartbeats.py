import asyncio
from typing import Final

from pymongo.monitoring import (
    ServerHeartbeatFailedEvent,
    ServerHeartbeatListener,
    ServerHeartbeatStartedEvent,
    ServerHeartbeatSucceededEvent,
)

_TIMEOUT_SECONDS: Final = 7  # to connect to a server that hangs, and for its handshake


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
            async with asyncio.timeout(_TIMEOUT_SECONDS):
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
