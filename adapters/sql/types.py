"""Column types that keep a value exactly the same in every database."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeAlias
from uuid import UUID

from sqlalchemy import BINARY, VARBINARY, DateTime, Dialect, LargeBinary, Text, TypeDecorator, Uuid
from sqlalchemy.dialects.mysql import DATETIME, MEDIUMBLOB, MEDIUMTEXT
from sqlalchemy.types import TypeEngine

Processor: TypeAlias = Callable[[Any], Any]
"""Makes a value of ours of a driver's; one such function for a column costs less than the base class's ways."""


class Id(TypeDecorator[str]):
    """A UUID: PostgreSQL's own type, elsewhere 16 bytes, so that it sorts as its text does in all of them."""

    impl = LargeBinary
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(Uuid(as_uuid=False))
        return dialect.type_descriptor(BINARY(16) if dialect.name == "mysql" else LargeBinary(16))

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | bytes | None:
        if value is None:
            return None
        if dialect.name == "postgresql":
            return str(value)  # asyncpg takes no subclass of it
        return bytes.fromhex(value.replace("-", ""))

    def result_processor(self, dialect: Dialect, coltype: object) -> Processor | None:
        return _id_from_uuid if dialect.name == "postgresql" else _id_from_bytes


class ExactText(TypeDecorator[str]):
    """Text of up to `length` bytes of UTF-8 that is compared and sorted by code point.

    MariaDB's collations pad, fold or lack a portable name, so there it is kept as UTF-8 bytes, which sort alike.
    """

    impl = Text
    cache_ok = True

    def __init__(self, length: int) -> None:
        super().__init__(length)
        self.length = length

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "mysql":
            return dialect.type_descriptor(VARBINARY(self.length))
        return dialect.type_descriptor(Text(collation="C" if dialect.name == "postgresql" else "BINARY"))

    def bind_processor(self, dialect: Dialect) -> Processor | None:
        return _bytes_from_text if dialect.name == "mysql" else None

    def result_processor(self, dialect: Dialect, coltype: object) -> Processor | None:
        return _text_from_bytes if dialect.name == "mysql" else None


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

    def result_processor(self, dialect: Dialect, coltype: object) -> Processor | None:
        match dialect.name:
            case "postgresql":
                return None
            case "sqlite":
                return _utc_from_text
        return _utc_from_naive


class LongText(TypeDecorator[str]):
    """Text that is not compared, of any length that a record can have; MariaDB's TEXT ends at 64 KiB."""

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


def _id_from_uuid(value: UUID | None) -> str | None:
    return None if value is None else str(value)


def _id_from_bytes(value: bytes | None) -> str | None:
    if value is None:
        return None
    digits = value.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _bytes_from_text(value: str | None) -> bytes | None:
    return None if value is None else value.encode()


def _text_from_bytes(value: bytes | None) -> str | None:
    return None if value is None else value.decode()


def _utc_from_text(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(f"{value}+00:00")


def _utc_from_naive(value: datetime | None) -> datetime | None:
    return None if value is None else value.replace(tzinfo=UTC)
