"""The stored form of users and records: a header, which the scripts read, and a body; see `lua/prelude.lua`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import orjson

from adapters.user_values import user_from_json, user_to_json
from domain.records import R, RecordType, to_milliseconds
from domain.user import User

USERS: Final = "User"
"""The type name of users, which no record type may have."""

ID_ENTRY: Final = ":"
SEARCH_ENTRY: Final = "/"
ADMIN_ENTRY: Final = "!"
DUE_ENTRY: Final = "@"

_DUE_OFFSET: Final = 10**14  # makes times before 1970 positive, too


def encode_user(user: User) -> bytes:
    unique = [f"email:{user.email.canonical}"]
    if user.username:
        unique.append(f"username:{user.username.canonical}")
    entries = _search_entries(user)
    if user.is_active_admin:
        entries.append(ADMIN_ENTRY)
    return _encode(user.version, None, unique, entries, [*user_to_json(user).values()])


def decode_user(stored: bytes) -> User:
    return user_from_json(_body(stored))


def encode_record(record_type: RecordType[R], record: R) -> bytes:
    """Return the stored form of a record. Raise `InvalidRecord`."""
    body = record_type.to_json(record)
    unique = [f"{field}:{value}" for field, value in record_type.unique_values_of(record).items()]
    due = record_type.due_of(record)
    entries = [] if due is None else [DUE_ENTRY + encode_due(due)]
    return _encode(record.version, record_type.owner_of(record), unique, entries, body)


def decode_record(record_type: RecordType[R], stored: bytes) -> R:
    return record_type.from_json(_body(stored))


def encode_due(moment: datetime) -> str:
    """Return a text of 15 digits that sorts like the time."""
    return f"{to_milliseconds(moment) + _DUE_OFFSET:015}"


def _encode(version: int, owner: str | None, unique: Sequence[str], entries: Sequence[str], body: object) -> bytes:
    return orjson.dumps([version, owner, unique, entries]) + b"\n" + orjson.dumps(body)


def _body(stored: bytes) -> Any:
    return orjson.loads(stored[stored.index(b"\n") + 1 :])


def _search_entries(user: User) -> list[str]:
    """Return an entry for each search key, with the number of leading bytes that it shares with an earlier key."""
    keys = [key.encode() for key in user.search_keys]
    entries = []
    for nth, key in enumerate(user.search_keys):
        shared = max((_shared_bytes(keys[nth], earlier) for earlier in keys[:nth]), default=0)
        entries.append(f"{SEARCH_ENTRY}{shared:04}{key}\t")
    return entries


def _shared_bytes(one: bytes, other: bytes) -> int:
    different = (nth for nth, (byte, other_byte) in enumerate(zip(one, other, strict=False)) if byte != other_byte)
    return next(different, min(len(one), len(other)))
