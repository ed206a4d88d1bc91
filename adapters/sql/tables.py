"""The schema. Rows are read and written by the functions in `adapters.sql.rows`, never as ORM objects."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import BigInteger, ForeignKey, Index, MetaData, String, Table, Text, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from adapters.sql.types import ExactText, Id, UtcTime, UtcTimes

REVISION: Final = "7d2e90a4f6b8"
"""The migration that leads to these tables."""

# What is not compared follows the table; what is has an `ExactText` of its own.
_OPTIONS: Final = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}


class Base(DeclarativeBase):
    # Constraints have names, because a violated one is told by its name.
    metadata = MetaData(
        naming_convention={
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
        }
    )


class UserRow(Base):
    """The `…_key` columns hold the folded forms, by which users are unique and found."""

    __tablename__ = "users"
    __table_args__ = (
        # Of the active admins alone, except in MariaDB, whose indexes hold every row.
        Index(
            None,
            "role",
            "active",
            "id",
            postgresql_where=text("role = 'admin' AND active"),
            sqlite_where=text("role = 'admin' AND active = 1"),
        ),
        _OPTIONS,
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    email: Mapped[str] = mapped_column(String(254))
    email_key: Mapped[str] = mapped_column(ExactText(256), unique=True)
    name: Mapped[str] = mapped_column(String(100))
    name_key: Mapped[str] = mapped_column(ExactText(300), index=True)
    username: Mapped[str | None] = mapped_column(String(32))
    username_key: Mapped[str | None] = mapped_column(ExactText(32), unique=True)
    bio: Mapped[str | None] = mapped_column(Text)
    role: Mapped[str] = mapped_column(String(16))
    active: Mapped[bool]
    version: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(UtcTime)
    updated_at: Mapped[datetime] = mapped_column(UtcTime)


class PostRow(Base):
    __tablename__ = "posts"
    __table_args__ = (Index(None, "author_id", "id"), _OPTIONS)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    author_id: Mapped[str] = mapped_column(Id, ForeignKey("users.id", ondelete="CASCADE"))
    title: Mapped[str] = mapped_column(String(200))
    body: Mapped[str] = mapped_column(Text)
    version: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(UtcTime)
    updated_at: Mapped[datetime] = mapped_column(UtcTime)


class CredentialRow(Base):
    __tablename__ = "credentials"
    __table_args__ = (_OPTIONS,)

    user_id: Mapped[str] = mapped_column(Id, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    password_hash: Mapped[str] = mapped_column(Text)


class SessionRow(Base):
    __tablename__ = "sessions"
    __table_args__ = (Index(None, "user_id", "id"), _OPTIONS)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    user_id: Mapped[str] = mapped_column(Id, ForeignKey("users.id", ondelete="CASCADE"))
    user_agent: Mapped[str | None] = mapped_column(String(200))
    place: Mapped[str | None] = mapped_column(String(64))
    token_digest: Mapped[str] = mapped_column(String(64))
    salt: Mapped[str] = mapped_column(String(64))
    refreshed_at: Mapped[tuple[datetime, ...]] = mapped_column(UtcTimes)
    version: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(UtcTime)
    last_used_at: Mapped[datetime] = mapped_column(UtcTime)
    expires_at: Mapped[datetime] = mapped_column(UtcTime)


class SignInFailuresRow(Base):
    __tablename__ = "sign_in_failures"
    __table_args__ = (_OPTIONS,)

    key: Mapped[str] = mapped_column(ExactText(64), primary_key=True)
    moments: Mapped[tuple[datetime, ...]] = mapped_column(UtcTimes)
    version: Mapped[int] = mapped_column(BigInteger)
    expires_at: Mapped[datetime] = mapped_column(UtcTime, index=True)


TABLES: Final[Sequence[Table]] = Base.metadata.sorted_tables
"""All of them, in an order in which those that are referred to come first."""

USERS: Final[Table] = Base.metadata.tables["users"]
POSTS: Final[Table] = Base.metadata.tables["posts"]
CREDENTIALS: Final[Table] = Base.metadata.tables["credentials"]
SESSIONS: Final[Table] = Base.metadata.tables["sessions"]
SIGN_IN_FAILURES: Final[Table] = Base.metadata.tables["sign_in_failures"]
