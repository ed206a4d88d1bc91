import asyncio
from collections.abc import Mapping
from contextlib import suppress
from contextvars import Context
from typing import Any, Final

import pymongo

from adapters.mongodb.address import Client

_LIFETIME_SECONDS: Final = 60  # after this time the server itself aborts a transaction
_PAUSE_SECONDS: Final = 0.5


class AbandonedSessions:
    """Sessions whose connection was lost during a transaction, which may still be open on the server.

    An open transaction blocks all writers of its documents, so it is aborted as soon as the server answers.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._ids: list[Mapping[str, Any]] = []
        self._ending: asyncio.Task[None] | None = None

    def add(self, session_id: Mapping[str, Any]) -> None:
        self._ids.append(session_id)
        if self._ending is None or self._ending.done():
            # A new context does not inherit the deadline of the failed call.
            self._ending = asyncio.create_task(self._end(), context=Context())

    async def close(self) -> None:
        if self._ending is not None:
            self._ending.cancel()
            await asyncio.gather(self._ending, return_exceptions=True)

    async def _end(self) -> None:
        while self._ids:
            taken = len(self._ids)
            with suppress(Exception), pymongo.timeout(_LIFETIME_SECONDS):
                # The ping shows that the server is back, and has processed everything sent before. Any failure is
                # retried, even after unexpected exceptions of the driver.
                await self._client.admin.command("ping")
                await self._client.admin.command({"killSessions": self._ids[:taken]})
                del self._ids[:taken]
            await asyncio.sleep(_PAUSE_SECONDS)
