"""Purge expired records."""

from typing import Any, Final

from application.ports import Clock
from domain.records import RecordType
from domain.session import SESSIONS
from domain.sign_in_failures import SIGN_IN_FAILURES
from domain.storage import Storage

_BATCH_SIZE: Final = 100
_MAX_BATCHES: Final = 100


class ExpiredRecords:
    """Purges expired sessions and sign-in failures, which no longer have any effect."""

    def __init__(self, storage: Storage, clock: Clock) -> None:
        self._storage = storage
        self._clock = clock

    async def purge(self) -> None:
        """Remove up to 10,000 records of each type, the earliest first.

        Raises:
            StaleVersion: Another process is purging, or has refreshed a session.
            DomainError: Any error of the storage port.
        """
        for record_type in (SIGN_IN_FAILURES, SESSIONS):
            for _ in range(_MAX_BATCHES):
                if await self._purge_batch(record_type) < _BATCH_SIZE:
                    break

    async def _purge_batch(self, record_type: RecordType[Any]) -> int:
        unit = self._storage.unit_of_work()
        records = unit.records(record_type)
        expired = await records.due(self._clock.now(), limit=_BATCH_SIZE)
        for record in expired:
            records.remove(record)
        await unit.commit()
        return len(expired)
