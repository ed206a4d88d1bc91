"""Column types that keep a value exactly the same in every database."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import BINARY, VARBINARY, DateTime, Dialect, LargeBinary, Text, TypeDecorator
from sqlalchemy.dialects.mysql import DATETIME
from sqlalchemy.dialects.postgresql import UUID
from sqlalchemy.types import TypeEngine

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


class Id(TypeDecorator[str]):
    """A UUID: PostgreSQL's own type, elsewhere 16 bytes, so that it sorts as its text does in all of them."""

    impl = LargeBinary
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(UUID(as_uuid=False))
        return dialect.type_descriptor(BINARY(16) if dialect.name == "mysql" else LargeBinary(16))

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | bytes | None:
        if value is None:
            return None
        if dialect.name == "postgresql":
            return str(value)  # asyncpg takes no subclass of it
        return bytes.fromhex(value.replace("-", ""))

    def process_result_value(self, value: Any | None, dialect: Dialect) -> str | None:
        if value is None or dialect.name == "postgresql":
            return value
        digits = value.hex()
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


class ExactText(TypeDecorator[str]):
    """Text of up to `length` code points that is compared and sorted by code point.

    MariaDB's collations pad, fold or lack a portable name, so there it is kept as UTF-8 bytes, which sort alike.
    """

    impl = Text
    cache_ok = True

    def __init__(self, length: int) -> None:
        super().__init__(length)
        self.length = length

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "mysql":
            return dialect.type_descriptor(VARBINARY(4 * self.length))
        return dialect.type_descriptor(Text(collation="C" if dialect.name == "postgresql" else "BINARY"))

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | bytes | None:
        return value.encode() if value is not None and dialect.name == "mysql" else value

    def process_result_value(self, value: Any | None, dialect: Dialect) -> str | None:
        return value.decode() if isinstance(value, bytes) else value


class UtcTime(TypeDecorator[datetime]):
    """An aware UTC time in milliseconds; kept without a zone where the database has no type for it."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "mysql":
            return dialect.type_descriptor(DATETIME(fsp=3))
        return dialect.type_descriptor(DateTime(timezone=dialect.name == "postgresql"))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value if value is None or dialect.name == "postgresql" else value.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value if value is None else value.replace(tzinfo=UTC)


class UtcTimes(TypeDecorator[tuple[datetime, ...]]):
    """Some aware UTC times in milliseconds, in their order: a JSON list of the milliseconds since 1970."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: tuple[datetime, ...] | None, dialect: Dialect) -> str | None:
        return None if value is None else json.dumps([(moment - _EPOCH) // _MILLISECOND for moment in value])

    def process_result_value(self, value: str | None, dialect: Dialect) -> tuple[datetime, ...] | None:
        return None if value is None else tuple(_EPOCH + number * _MILLISECOND for number in json.loads(value))
