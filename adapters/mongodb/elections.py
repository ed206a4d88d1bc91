"""Read from a primary only once its snapshots contain every acknowledged write.

A new primary has these writes, but its majority commit point may lag behind them until a majority has replicated an
entry of its own term. Until then its snapshots may lack the newest writes.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias, TypeVar

from bson import ObjectId
from pymongo.topology_description import TopologyDescription

from adapters.mongodb.address import Client

T = TypeVar("T")

Election: TypeAlias = tuple[tuple[str, int | None], ObjectId | None]
"""The address of the primary, and the id of the election that it won."""


class ConfirmedPrimary:
    """Confirms each primary once per election, before anything is read from it."""

    def __init__(self, client: Client, confirm: Callable[[], Awaitable[object]]) -> None:
        """`confirm` returns when the primary has replicated an entry of its own term, as a linearizable read does."""
        self._client = client
        self._confirm = confirm
        self._confirming = asyncio.Lock()  # concurrent reads share one confirmation
        self._confirmed: Election | None = None
        self._description: TopologyDescription | None = None
        self._described: Election | None = None

    async def read(self, query: Callable[[], Awaitable[T]]) -> T:
        """Return the result of a query, which is repeated if another primary may have answered it."""
        while True:
            election = self._election()
            if election is None or election != self._confirmed:
                await self._ensure_confirmed()
                continue
            result = await query()
            if self._election() == election:
                return result

    async def _ensure_confirmed(self) -> None:
        async with self._confirming:
            election = self._election()
            if election is None or election != self._confirmed:
                await self._confirm()  # also finds the primary, while none is known
                if self._election() == election:
                    self._confirmed = election

    def _election(self) -> Election | None:
        """Return the latest election that the driver knows of, or None while it knows no primary."""
        description = self._client.topology_description
        if description is not self._description:  # descriptions are immutable
            primaries = (server for server in description.server_descriptions().values() if server.is_writable)
            self._description = description
            self._described = next(((server.address, server.election_id) for server in primaries), None)
        return self._described
