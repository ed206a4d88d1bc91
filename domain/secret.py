"""Keys that the storage keeps for all processes."""

from dataclasses import dataclass, field
from typing import Final

from domain.records import RecordType


@dataclass(frozen=True, slots=True)
class Secret:
    """A random key. Its repr hides the value, and no export includes it; a copy of the storage does."""

    name: str
    value: bytes = field(repr=False)
    version: int = 1


SECRETS: Final = RecordType("secrets", Secret, key="name")
