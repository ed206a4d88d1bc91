"""Purge expired records."""

import asyncio
import random
from collections.abc import Sequence
from contextlib import suppress
from time import monotonic
from typing import Any, Final

from application.ports import Clock
from domain.errors import DomainError
from domain.record_types import RECORD_TYPES
from domain.records import RecordType
from domain.storage import Storage

_INTERVAL_SECONDS: Final = 60.0
_BATCH_SIZE: Final = 100
_MAX_BATCHES: Final = 100

_EXPIRING: Final[Sequence[RecordType[Any]]] = [each for each in RECORD_TYPES if each.due == "expires_at"]


class ExpiredRecords:
    """Purges records that expire at `expires_at`. Expired records have no effect any more."""

    def __init__(self, storage: Storage, clock: Clock) -> None:
        self._storage = storage
        self._clock = clock

    async def purge_regularly(self) -> None:
        """Purge about once a minute until cancelled; processes that start together do not purge together."""
        while True:
            await asyncio.sleep(_INTERVAL_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311
            with suppress(DomainError):  # another process purges, or requests and `/health/ready` report it
                await self.purge()

    async def purge(self) -> None:
        """Remove up to 10,000 records of each type, the earliest first.

        Pauses after each batch for as long as it took, to leave the storage to requests.

        Raises:
            StaleVersion: Another process is purging, or has changed one of the records.
            DomainError: Any error of the storage port.
        """
        for record_type in _EXPIRING:
            for _ in range(_MAX_BATCHES):
                start = monotonic()
                if await self._purge_batch(record_type) < _BATCH_SIZE:
                    break
                await asyncio.sleep(monotonic() - start)

    async def _purge_batch(self, record_type: RecordType[Any]) -> int:
        unit = self._storage.unit_of_work()
        records = unit.records(record_type)
        expired = await records.due(self._clock.now(), limit=_BATCH_SIZE)
        for record in expired:
            records.remove(record)
        await unit.commit()
        return len(expired)
