"""Column types that keep a value exactly the same in every database.

Each chooses another type by the database. One that converts values is a decorator of its own, named after its form.
"""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BINARY, VARBINARY, DateTime, Dialect, LargeBinary, Text, TypeDecorator, Uuid
from sqlalchemy.dialects.mysql import DATETIME, MEDIUMBLOB, MEDIUMTEXT
from sqlalchemy.types import TypeEngine


class Id(TypeDecorator[str]):
    """A UUID: PostgreSQL's own type, elsewhere 16 bytes, so that it sorts as its text does in all of them."""

    impl = LargeBinary
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return NativeUuid() if dialect.name == "postgresql" else UuidBytes(16)


class NativeUuid(TypeDecorator[str]):
    impl = Uuid
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else str(value)  # asyncpg refuses a subclass

    def process_result_value(self, value: UUID | None, dialect: Dialect) -> str | None:
        return None if value is None else str(value)


class UuidBytes(TypeDecorator[str]):
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
            return Utf8Bytes(self.length)
        return dialect.type_descriptor(Text(collation="C" if dialect.name == "postgresql" else "BINARY"))


class Utf8Bytes(TypeDecorator[str]):
    impl = VARBINARY
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> bytes | None:
        return None if value is None else value.encode()

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> str | None:
        return None if value is None else value.decode()


class UtcTime(TypeDecorator[datetime]):
    """An aware UTC time in milliseconds; kept without a zone where the database has no type for it."""

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
    impl = DATETIME(fsp=3)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


class IsoTime(TypeDecorator[datetime]):
    """ISO 8601 without the zone, which sorts by time."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        return None if value is None else value.isoformat(" ", "milliseconds").removesuffix("+00:00")

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:
        return None if value is None else datetime.fromisoformat(f"{value}+00:00")


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
