"""Export all users."""

from base64 import b64encode
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from application.timestamps import timestamp
from application.transfer.many_credentials import credentials_of
from domain.credential import CREDENTIALS, Credential
from domain.record_types import RECORD_TYPES
from domain.records import RecordType
from domain.storage import Storage
from domain.user import User

_AT_ONCE: Final = 1_000
_RECORD_BATCH_SIZE: Final = 200  # at most 50 MB, given the maximum record size


class UserExport:
    """Reads all users for an export, with their credentials or records on request."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def batches(self) -> AsyncIterator[Sequence[User]]:
        """Iterate over all users in creation order, in batches; see `UserRepository.page`.

        Each user who exists throughout comes exactly once, regardless of concurrent writes. Raises what the storage
        port raises.
        """
        users = self._storage.unit_of_work().users
        batch = await users.page(limit=_AT_ONCE)
        while batch:
            yield batch
            batch = await users.page(after=batch[-1].id, limit=_AT_ONCE)

    async def owned_records(self) -> AsyncIterator[Mapping[str, object]]:
        """Iterate over all records that users own: the name of the type, and the fields that are not secret.

        Times are RFC 3339, bytes Base64. Raises what the storage port raises.
        """
        unit = self._storage.unit_of_work()
        for record_type in RECORD_TYPES:
            if record_type.owner is None:
                continue
            records = await unit.records(record_type).page(limit=_RECORD_BATCH_SIZE)
            while records:
                for record in records:
                    yield {"type": record_type.name, "record": _readable(record_type, record)}
                after = record_type.key_of(records[-1])
                records = await unit.records(record_type).page(after=after, limit=_RECORD_BATCH_SIZE)

    async def batches_with_credentials(self) -> AsyncIterator[Sequence[tuple[User, Credential | None]]]:
        """Iterate like `batches`, with each user's credential or None."""
        credentials = self._storage.unit_of_work().records(CREDENTIALS)
        async for users in self.batches():
            yield list(zip(users, await credentials_of(users, credentials), strict=True))


def _readable(record_type: RecordType[Any], record: Any) -> Mapping[str, object]:
    plain = {name: value for name, value in record_type.to_plain(record).items() if name not in record_type.secrets}
    return {name: _readable_value(value) for name, value in plain.items()}


def _readable_value(plain: object) -> object:
    match plain:
        case datetime():
            return timestamp(plain)
        case bytes():
            return b64encode(plain).decode()
        case list():
            return [_readable_value(item) for item in plain]
        case dict():
            return {name: _readable_value(item) for name, item in plain.items()}
    return plain
