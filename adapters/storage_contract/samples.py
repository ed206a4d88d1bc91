"""A record type only for the contract, with a required and an optional field of every kind."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Final

from domain.errors import DomainError
from domain.record_types import RECORD_TYPES
from domain.records import RecordType
from domain.values import UserId


class LabelTaken(DomainError):
    code = "label_taken"
    sentence = "Another sample has this label."


class SerialTaken(DomainError):
    code = "serial_taken"
    sentence = "Another sample has this serial number."


class Color(Enum):
    RED = "red"
    GREEN = "green"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    code: str
    user_id: UserId
    label: str | None
    serial: str
    text: str
    note: str | None
    amount: int
    rank: int | None
    flag: bool
    answer: bool | None
    color: Color
    shade: Color | None
    content: bytes
    digest: bytes | None
    created_at: datetime
    due_at: datetime | None
    tags: tuple[str, ...]
    moments: tuple[datetime, ...]
    scores: tuple[int, ...] | None
    attributes: Mapping[str, str]
    history: Mapping[str, tuple[datetime | None, ...]]
    parts: Mapping[str, bytes] | None
    version: int


SAMPLES: Final = RecordType(
    "samples",
    Sample,
    key="code",
    owner="user_id",
    due="due_at",
    unique={"label": LabelTaken, "serial": SerialTaken},
)

CONTRACT_TYPES: Final[Sequence[RecordType[Any]]] = (*RECORD_TYPES, SAMPLES)
"""The record types with which the contract opens a storage."""
