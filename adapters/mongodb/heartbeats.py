import asyncio
from typing import Final

from pymongo.monitoring import (
    ServerHeartbeatFailedEvent,
    ServerHeartbeatListener,
    ServerHeartbeatStartedEvent,
    ServerHeartbeatSucceededEvent,
)

_TIMEOUT_SECONDS: Final = 7  # to connect to a server that hangs, and to wait for its greeting


class Heartbeats(ServerHeartbeatListener):
    """Tracks the checks of servers by the driver's monitors for which they may open a connection.

    A monitor that is cancelled while it connects leaves its socket open, so the client is closed when none does.
    """

    def __init__(self) -> None:
        self._pending: set[object] = set()
        self._ended = asyncio.Event()

    async def pause(self) -> None:
        """Return when no monitor is connecting, before another one can begin, or after some seconds."""
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                while self._pending:
                    self._ended.clear()
                    await self._ended.wait()
        except TimeoutError:
            return

    def started(self, event: ServerHeartbeatStartedEvent) -> None:
        if not event.awaited:  # one that is awaited goes over an open connection
            self._pending.add(event.connection_id)

    def succeeded(self, event: ServerHeartbeatSucceededEvent) -> None:
        self._end(event.connection_id)

    def failed(self, event: ServerHeartbeatFailedEvent) -> None:
        self._end(event.connection_id)

    def _end(self, server: object) -> None:
        self._pending.discard(server)
        self._ended.set()
