"""Random keys that all processes share through the storage."""

from dataclasses import dataclass, field
from typing import Final

from domain.records import RecordType


@dataclass(frozen=True, slots=True)
class Secret:
    """A random key. The repr hides the value, and exports omit it; a copy of the storage includes it."""

    name: str
    value: bytes = field(repr=False)
    version: int = 1


SECRETS: Final = RecordType("secrets", Secret, key="name")
