"""The schema: users, and one table for each record type, with the fields of its entity as columns."""

from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    ForeignKey,
    Index,
    MetaData,
    ScalarSelect,
    String,
    Table,
    Text,
    UniqueConstraint,
    exists,
    false,
    select,
    text,
)
from sqlalchemy.types import TypeEngine

from adapters.sql.types import ExactText, Id, Json, LongBytes, LongText, UtcTime
from adapters.user_values import USER_FIELDS
from domain.records import MAX_KEY_BYTES

NAMING_CONVENTION: Final = {
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
}
"""Constraints have names because databases report a violated one by its name."""

METADATA: Final = MetaData(naming_convention=NAMING_CONVENTION)

# Compared columns are `ExactText`, with a binary collation; all others use the table's.
OPTIONS: Final[Mapping[str, Any]] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
}


def required(
    name: str, kind: TypeEngine[Any] | type[TypeEngine[Any]], *rules: ForeignKey, **options: Any
) -> Column[Any]:
    return Column(name, kind, *rules, nullable=False, **options)


# The `…_key` columns hold the folded forms, which are unique and searched. A user who is being removed has none, and a
# version that no writer expects. The row stays until everything that refers to it is deleted.
USERS: Final = Table(
    "users",
    METADATA,
    required("id", Id, primary_key=True),
    required("email", String(254)),
    Column("email_key", ExactText(4 * 256), unique=True),
    required("name", String(100)),
    required("name_key", ExactText(4 * 300), index=True),
    Column("username", String(32)),
    Column("username_key", ExactText(4 * 32), unique=True),
    Column("bio", Text),
    required("role", String(16)),
    required("active", Boolean),
    required("version", BigInteger),
    required("created_at", UtcTime),
    required("updated_at", UtcTime),
    required("email_verified", Boolean, server_default=false()),
    # Only of the active admins, except in MariaDB, which has no partial indexes.
    Index(
        None,
        "role",
        "active",
        "id",
        postgresql_where=text("role = 'admin' AND active"),
        sqlite_where=text("role = 'admin' AND active = 1"),
    ),
    **OPTIONS,
)

USER_COLUMNS: Final = [USERS.c[name] for name in USER_FIELDS]


def owner(name: str, **options: Any) -> Column[Any]:
    """Return a column with the id of the user who owns the record."""
    return required(name, Id, ForeignKey(USERS.c.id, ondelete="CASCADE"), **options)


REMOVED_USERS: Final = Table("removed_users", METADATA, owner("user_id", primary_key=True), **OPTIONS)
"""Users who are being removed; nearly always empty."""

CREDENTIALS: Final = Table(
    "credentials",
    METADATA,
    owner("user_id", primary_key=True),
    required("password_hash", LongText),
    required("version", BigInteger),
    **OPTIONS,
)

SESSIONS: Final = Table(
    "sessions",
    METADATA,
    required("id", Id, primary_key=True),
    owner("user_id"),
    Column("user_agent", LongText),
    Column("place", LongText),
    required("token_digest", LongText),
    required("salt", LongText),
    required("refreshed_at", Json),
    required("version", BigInteger),
    required("created_at", UtcTime),
    required("last_used_at", UtcTime),
    required("expires_at", UtcTime),
    Index(None, "user_id", "id"),
    Index(None, "expires_at", "id"),
    **OPTIONS,
)

POSTS: Final = Table(
    "posts",
    METADATA,
    required("id", Id, primary_key=True),
    owner("author_id"),
    required("title", LongText),
    required("body", LongText),
    required("version", BigInteger),
    required("created_at", UtcTime),
    required("updated_at", UtcTime),
    Index(None, "author_id", "id"),
    **OPTIONS,
)

SIGN_IN_FAILURES: Final = Table(
    "sign_in_failures",
    METADATA,
    required("key", ExactText(MAX_KEY_BYTES), primary_key=True),
    required("moments", Json),
    required("version", BigInteger),
    required("expires_at", UtcTime),
    Index(None, "expires_at", "key"),
    **OPTIONS,
)

SECRETS: Final = Table(
    "secrets",
    METADATA,
    required("name", ExactText(MAX_KEY_BYTES), primary_key=True),
    required("value", LongBytes),
    required("version", BigInteger),
    **OPTIONS,
)

JOBS: Final = Table(
    "jobs",
    METADATA,
    required("id", Id, primary_key=True),
    required("kind", LongText),
    required("payload", Json),
    required("due_at", UtcTime),
    required("attempts", BigInteger),
    Column("last_error", LongText),
    required("failed", Boolean),
    required("version", BigInteger),
    Index(None, "due_at", "id"),
    **OPTIONS,
)

ONE_TIME_TOKENS: Final = Table(
    "one_time_tokens",
    METADATA,
    required("key", ExactText(MAX_KEY_BYTES), primary_key=True),
    owner("user_id"),
    required("purpose", LongText),
    required("request_id", LongText),
    required("digest", LongText),
    Column("address", LongText),
    Column("credential_version", BigInteger),
    Column("target", LongText),
    required("target_verified", Boolean),
    required("is_void", Boolean),
    required("version", BigInteger),
    required("created_at", UtcTime),
    required("expires_at", UtcTime),
    Index(None, "user_id", "key"),
    Index(None, "expires_at", "key"),
    **OPTIONS,
)

PENDING_SIGN_UPS: Final = Table(
    "pending_sign_ups",
    METADATA,
    required("id", Id, primary_key=True),
    required("email", LongText),
    required("email_key", LongText),
    required("name", LongText),
    Column("username", LongText),
    Column("username_key", LongText),
    Column("bio", LongText),
    Column("password_hash", LongText),
    required("digest", LongText),
    required("version", BigInteger),
    required("created_at", UtcTime),
    required("expires_at", UtcTime),
    Index(None, "expires_at", "id"),
    **OPTIONS,
)

SIGN_IN_PLACES: Final = Table(
    "sign_in_places",
    METADATA,
    owner("user_id", primary_key=True),
    required("places", Json),
    required("version", BigInteger),
    **OPTIONS,
)

TABLES: Final[Mapping[str, Table]] = METADATA.tables

IS_LIVE: Final = USERS.c.email_key.is_not(None)
"""The condition that a user is not being removed."""


@cache
def key_of(table: Table) -> Column[Any]:
    (key,) = table.primary_key
    return key


@cache
def owner_of(table: Table) -> Column[Any] | None:
    """Return the column that refers to a user."""
    return next((column for column in table.columns if column.foreign_keys), None)


@cache
def unique_columns(table: Table) -> Collection[str]:
    constraints = (constraint for constraint in table.constraints if isinstance(constraint, UniqueConstraint))
    return frozenset(column.name for constraint in constraints for column in constraint.columns)


@cache
def is_visible(table: Table) -> Sequence[ColumnElement[bool]]:
    """Return the condition that the owner of a row is not being removed; empty for a table without owners."""
    owned_by = owner_of(table)
    return () if owned_by is None else (~exists().where(REMOVED_USERS.c.user_id == owned_by),)


def live_owner(user_id: ColumnElement[Any]) -> ScalarSelect[Any]:
    """Return an expression for the owner of an inserted row: NULL, which is rejected, unless the user is live.

    It waits for a concurrent removal of the user, and blocks one until the commit.
    """
    live = select(USERS.c.id).where(USERS.c.id == user_id, IS_LIVE)
    return live.with_for_update(read=True, key_share=True).scalar_subquery()
