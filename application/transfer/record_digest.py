"""Compare the contents of two storages."""

import json
from collections import Counter
from collections.abc import Sequence
from hashlib import sha256

from application.timestamps import timestamp
from application.transfer.all_records import Stored, record_type_of
from domain.record_types import RECORD_TYPES
from domain.user import User


class RecordDigest:
    """Counts users and records, and digests them, so that two storages can be compared."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._hash = sha256()

    def add(self, record: Stored) -> None:
        if isinstance(record, User):
            name, fields = "users", _user_fields(record)
        else:
            record_type = record_type_of(record)
            name, fields = record_type.name, list(record_type.to_json(record).values())
        self._counts[name] += 1
        line = json.dumps([name, *fields], ensure_ascii=False, separators=(",", ":"), sort_keys=True)
        self._hash.update(f"{line}\n".encode())

    @property
    def users(self) -> int:
        return self._counts["users"]

    @property
    def records(self) -> int:
        """The total number of users and records."""
        return self._counts.total()

    @property
    def digest(self) -> str:
        """SHA-256 (FIPS 180-4), in hexadecimal, of all fields of all records in the order they were added."""
        return self._hash.hexdigest()

    def __str__(self) -> str:
        names = ["users", *(record_type.name for record_type in RECORD_TYPES)]
        parts = [f"{self._counts[name]} {name.replace('_', ' ')}" for name in names]
        return f"{', '.join(parts[:-1])} and {parts[-1]}"


def _user_fields(user: User) -> Sequence[object]:
    username = user.username
    return (
        user.id,
        user.email.address,
        user.email.canonical,
        username and username.text,
        username and username.canonical,
        user.name,
        user.bio,
        user.role.value,
        user.active,
        user.email_verified,
        user.version,
        timestamp(user.created_at),
        timestamp(user.updated_at),
    )
