"""Column types that keep values exactly, in every database.

Each type selects a database type by dialect. Types that convert values are decorators of their own.
"""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BINARY, VARBINARY, DateTime, Dialect, LargeBinary, Text, TypeDecorator, Uuid
from sqlalchemy.dialects.mysql import DATETIME, MEDIUMBLOB, MEDIUMTEXT
from sqlalchemy.types import TypeEngine


class Id(TypeDecorator[str]):
    """A UUID: native in PostgreSQL, elsewhere 16 bytes, so that it sorts like its text everywhere."""

    impl = LargeBinary
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return NativeUuid() if dialect.name == "postgresql" else UuidBytes(16)


class NativeUuid(TypeDecorator[str]):
    """A UUID in a database with a type for it."""

    impl = Uuid
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else str(value)  # asyncpg rejects a subclass of str

    def process_result_value(self, value: UUID | None, dialect: Dialect) -> str | None:
        return None if value is None else str(value)


class UuidBytes(TypeDecorator[str]):
    """A UUID as 16 bytes."""

    impl = LargeBinary
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(BINARY(16) if dialect.name == "mysql" else LargeBinary(16))

    def process_bind_param(self, value: str | None, dialect: Dialect) -> bytes | None:
        return None if value is None else bytes.fromhex(value.replace("-", ""))

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        digits = value.hex()
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


class ExactText(TypeDecorator[str]):
    """Text of up to `length` bytes of UTF-8, compared and sorted by code point.

    MariaDB stores it as UTF-8 bytes, which sort alike: its collations pad, fold or have no portable name.
    """

    impl = Text
    cache_ok = True

    def __init__(self, length: int) -> None:
        super().__init__(length)
        self.length = length

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "mysql":
            return Utf8Bytes(self.length)
        return dialect.type_descriptor(Text(collation="C" if dialect.name == "postgresql" else "BINARY"))


class Utf8Bytes(TypeDecorator[str]):
    """Text as UTF-8 bytes."""

    impl = VARBINARY
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> bytes | None:
        return None if value is None else value.encode()

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> str | None:
        return None if value is None else value.decode()


class UtcTime(TypeDecorator[datetime]):
    """An aware UTC time in milliseconds, without a zone where the database has no such type."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        match dialect.name:
            case "postgresql":
                return dialect.type_descriptor(DateTime(timezone=True))
            case "sqlite":
                return IsoTime()
        return NaiveTime()


class NaiveTime(TypeDecorator[datetime]):
    """A UTC time in a database type without a zone."""

    impl = DATETIME(fsp=3)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


class IsoTime(TypeDecorator[datetime]):
    """ISO 8601 without a zone, which sorts by time."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        return None if value is None else value.replace(tzinfo=None).isoformat(" ", "milliseconds")

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:
        return None if value is None else datetime.fromisoformat(f"{value}+00:00")


class LongText(TypeDecorator[str]):
    """Text of any length that a record can have, not compared; MariaDB's TEXT ends at 64 KiB."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(MEDIUMTEXT() if dialect.name == "mysql" else Text())


class LongBytes(TypeDecorator[bytes]):
    """Bytes of any length that a record can have."""

    impl = LargeBinary
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(MEDIUMBLOB() if dialect.name == "mysql" else LargeBinary())


class Json(TypeDecorator[Any]):
    """A list or an object as JSON text; None is NULL."""

    impl = LongText
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else json.loads(value)
