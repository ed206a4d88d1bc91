from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, Generic, TypeVar

import orjson

from adapters.user_values import USER_FIELDS, user_from_json, user_to_json
from domain.records import R, RecordType
from domain.user import User

T = TypeVar("T")

_FORMAT: Final = 1
"""Increase it when the same fields change their meaning."""


@dataclass(frozen=True, slots=True)
class EntryType(Generic[T]):
    """Encodes values of one type as JSON behind a digest of their schema, so that other versions ignore them."""

    name: str
    has_owner: bool
    """Whether removing a user may remove a value."""

    _header: bytes
    _to_json: Callable[[T], Any]
    _from_json: Callable[[Any], T]
    _id: Callable[[T], str]

    def encode(self, value: T, generation: bytes) -> bytes:
        return self._header + generation + orjson.dumps(self._to_json(value))

    def decode(self, entry: bytes, generation: bytes, id: str) -> T | None:  # noqa: A002 - as entities name it
        """Return the value; None if the entry is malformed, or of another generation, schema or id."""
        header = self._header + generation
        if not entry.startswith(header):
            return None
        try:
            value = self._from_json(orjson.loads(entry[len(header) :]))
        except Exception:  # noqa: BLE001 - for any content, the store has the value
            return None
        return value if self._id(value) == id else None


def user_entries() -> EntryType[User]:
    return EntryType(
        "users",
        False,
        _header("users", ",".join(USER_FIELDS)),
        lambda user: [*user_to_json(user).values()],
        user_from_json,
        lambda user: user.id,
    )


def record_entries(record_type: RecordType[R]) -> EntryType[R]:
    names = tuple(record_type.fields)
    return EntryType(
        record_type.name,
        record_type.owner is not None,
        _header(record_type.name, repr(dict(record_type.fields))),
        lambda record: [*record_type.to_json(record).values()],
        lambda values: record_type.from_json(dict(zip(names, values, strict=True))),
        record_type.key_of,
    )


def _header(name: str, fields: str) -> bytes:
    return b"E" + sha256(f"{_FORMAT} {name} {fields}".encode()).digest()[:7]
