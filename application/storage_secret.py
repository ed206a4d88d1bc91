"""The secret key that all processes share through the storage."""

import hmac
import json
from typing import Final

from application.concurrency import OptimisticRetry
from application.ports import SecretSource
from domain.errors import IdTaken, StaleVersion
from domain.secret import SECRETS, Secret
from domain.storage import Storage

_NAME: Final = "digest_key"
_KEY_BYTES: Final = 32


class StorageSecret:
    """Computes digests with a key that the storage keeps.

    The first process that needs the key creates it; concurrent processes agree on one. Digests cannot be computed
    without the storage, so addresses cannot be recovered by trying all of them.
    """

    def __init__(self, storage: Storage, secrets: SecretSource) -> None:
        self._storage = storage
        self._secrets = secrets
        self._retry = OptimisticRetry()
        self._key: bytes | None = None

    async def digest(self, *parts: str) -> str:
        """Return the HMAC-SHA-256 (RFC 2104) of some texts, in hexadecimal. Raises what the storage port raises."""
        if self._key is None:
            self._key = await self._retry.run(_NAME, self._read_or_create)
        return hmac.digest(self._key, json.dumps(parts).encode(), "sha256").hex()

    async def _read_or_create(self) -> bytes:
        unit = self._storage.unit_of_work()
        stored = await unit.records(SECRETS).get(_NAME)
        if stored is not None:
            return stored.value
        created = Secret(_NAME, self._secrets.secret(_KEY_BYTES))
        unit.records(SECRETS).add(created)
        try:
            await unit.commit()
        except IdTaken:
            raise StaleVersion from None
        return created.value
