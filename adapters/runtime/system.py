"""The time, and ids made from it."""

from datetime import UTC, datetime
from typing import Final

from application.ports import AnyId


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


class Uuid7Source:
    """UUIDv7 (RFC 9562, section 5.7), strictly increasing within a process."""

    def __init__(self) -> None:
        from uuid_utils import uuid7  # most commands make no ids

        self._uuid7: Final = uuid7

    def new(self, id_type: type[AnyId]) -> AnyId:
        return id_type(str(self._uuid7()))
