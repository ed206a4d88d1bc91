"""The schema. Rows are read and written by the functions in `adapters.sql.rows`, never as ORM objects."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, MetaData, String, Table, Text, text
from sqlalchemy.types import TypeEngine

from adapters.sql.types import ExactText, Id, UtcTime, UtcTimes

REVISION: Final = "7d2e90a4f6b8"
"""The migration that leads to these tables."""

METADATA: Final = MetaData(
    # Constraints have names, because a violated one is told by its name.
    naming_convention={
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
    }
)

# What is not compared follows the table; what is has an `ExactText` of its own.
_OPTIONS: Final[Mapping[str, Any]] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
}


def _required(
    name: str, kind: TypeEngine[Any] | type[TypeEngine[Any]], *rules: ForeignKey, **options: Any
) -> Column[Any]:
    return Column(name, kind, *rules, nullable=False, **options)


def _of_user() -> ForeignKey:
    return ForeignKey("users.id", ondelete="CASCADE")


# The `…_key` columns hold the folded forms, by which users are unique and found.
USERS: Final = Table(
    "users",
    METADATA,
    _required("id", Id, primary_key=True),
    _required("email", String(254)),
    _required("email_key", ExactText(256), unique=True),
    _required("name", String(100)),
    _required("name_key", ExactText(300), index=True),
    Column("username", String(32)),
    Column("username_key", ExactText(32), unique=True),
    Column("bio", Text),
    _required("role", String(16)),
    _required("active", Boolean),
    _required("version", BigInteger),
    _required("created_at", UtcTime),
    _required("updated_at", UtcTime),
    # Of the active admins alone, except in MariaDB, whose indexes hold every row.
    Index(
        None,
        "role",
        "active",
        "id",
        postgresql_where=text("role = 'admin' AND active"),
        sqlite_where=text("role = 'admin' AND active = 1"),
    ),
    **_OPTIONS,
)

POSTS: Final = Table(
    "posts",
    METADATA,
    _required("id", Id, primary_key=True),
    _required("author_id", Id, _of_user()),
    _required("title", String(200)),
    _required("body", Text),
    _required("version", BigInteger),
    _required("created_at", UtcTime),
    _required("updated_at", UtcTime),
    Index(None, "author_id", "id"),
    **_OPTIONS,
)

CREDENTIALS: Final = Table(
    "credentials",
    METADATA,
    _required("user_id", Id, _of_user(), primary_key=True),
    _required("password_hash", Text),
    **_OPTIONS,
)

SESSIONS: Final = Table(
    "sessions",
    METADATA,
    _required("id", Id, primary_key=True),
    _required("user_id", Id, _of_user()),
    Column("user_agent", String(200)),
    Column("place", String(64)),
    _required("token_digest", String(64)),
    _required("salt", String(64)),
    _required("refreshed_at", UtcTimes),
    _required("version", BigInteger),
    _required("created_at", UtcTime),
    _required("last_used_at", UtcTime),
    _required("expires_at", UtcTime),
    Index(None, "user_id", "id"),
    **_OPTIONS,
)

SIGN_IN_FAILURES: Final = Table(
    "sign_in_failures",
    METADATA,
    _required("key", ExactText(64), primary_key=True),
    _required("moments", UtcTimes),
    _required("version", BigInteger),
    _required("expires_at", UtcTime, index=True),
    **_OPTIONS,
)

TABLES: Final[Sequence[Table]] = METADATA.sorted_tables
"""All of them, in an order in which those that are referred to come first."""
