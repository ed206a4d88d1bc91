"""Users and records as they are stored: a header, which the scripts read, and a body; see `lua/prelude.lua`."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

from domain.records import R, RecordType
from domain.user import Role, User
from domain.values import Bio, Email, Name, UserId, Username

USERS: Final = "User"
"""The type of users, which is no name that a record type may have."""

ID_ENTRY: Final = ":"
SEARCH_ENTRY: Final = "/"
ADMIN_ENTRY: Final = "!"
DUE_ENTRY: Final = "@"

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_DUE_OFFSET: Final = 10**14  # which makes positive numbers of the times before 1970 as well


def encode_user(user: User) -> bytes:
    unique = [f"email:{user.email.canonical}"]
    if user.username:
        unique.append(f"username:{user.username.canonical}")
    entries = _search_entries(user)
    if user.is_active_admin:
        entries.append(ADMIN_ENTRY)
    body = [
        user.version,
        user.id,
        user.email.address,
        user.email.canonical,
        user.name,
        user.username and user.username.text,
        user.username and user.username.canonical,
        user.bio,
        user.role,
        user.active,
        _milliseconds(user.created_at),
        _milliseconds(user.updated_at),
        user.email_verified,
    ]
    return _encode(user.version, None, unique, entries, body)


def decode_user(stored: bytes) -> User:
    (
        version,
        id_,
        email,
        email_key,
        name,
        username,
        username_key,
        bio,
        role,
        active,
        created_at,
        updated_at,
        *verified,
    ) = _body(stored)
    return User(
        id=UserId(id_),
        email=Email(email, email_key),
        name=Name(name),
        username=None if username is None else Username(username, username_key),
        bio=None if bio is None else Bio(bio),
        role=Role(role),
        active=active,
        email_verified=any(verified),  # which an older userport has not written
        version=version,
        created_at=_EPOCH + created_at * _MILLISECOND,
        updated_at=_EPOCH + updated_at * _MILLISECOND,
    )


def encode_record(record_type: RecordType[R], record: R) -> bytes:
    """Return a record as it is stored; raises `InvalidRecord`."""
    body = record_type.to_json(record)
    unique = [f"{field}:{value}" for field, value in record_type.unique_values_of(record).items()]
    due = record_type.due_of(record)
    entries = [] if due is None else [DUE_ENTRY + encode_due(due)]
    return _encode(record.version, record_type.owner_of(record), unique, entries, body)


def decode_record(record_type: RecordType[R], stored: bytes) -> R:
    return record_type.from_json(_body(stored))


def encode_due(moment: datetime) -> str:
    """Return a text of 15 digits that sorts as the time does."""
    return f"{_milliseconds(moment) + _DUE_OFFSET:015}"


def _encode(version: int, owner: str | None, unique: Sequence[str], entries: Sequence[str], body: object) -> bytes:
    return orjson.dumps([version, owner, unique, entries]) + b"\n" + orjson.dumps(body)


def _body(stored: bytes) -> Any:
    return orjson.loads(stored[stored.index(b"\n") + 1 :])


def _search_entries(user: User) -> list[str]:
    """Return an entry for each search key, with the number of bytes that it shares with an earlier one."""
    keys = [key.encode() for key in user.search_keys]
    entries = []
    for nth, key in enumerate(user.search_keys):
        shared = max((_shared_bytes(keys[nth], earlier) for earlier in keys[:nth]), default=0)
        entries.append(f"{SEARCH_ENTRY}{shared:04}{key}\t")
    return entries


def _shared_bytes(one: bytes, other: bytes) -> int:
    different = (nth for nth, (byte, other_byte) in enumerate(zip(one, other, strict=False)) if byte != other_byte)
    return next(different, min(len(one), len(other)))


def _milliseconds(time: datetime) -> int:
    return (time - _EPOCH) // _MILLISECOND
