"""The tables, as typed models."""

from datetime import UTC, datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, BigInteger, DateTime, Dialect, ForeignKey, Index, MetaData, Text, TypeDecorator
from sqlalchemy import UniqueConstraint as Unique
from sqlalchemy.ext.associationproxy import AssociationProxy, association_proxy
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class UtcDateTime(TypeDecorator[datetime]):
    """A time in UTC. SQLite returns it without its zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value and value.replace(tzinfo=UTC)


class Base(DeclarativeBase):
    # A constraint has the name that SQLite gives it in its errors.
    metadata = MetaData(
        naming_convention=dict.fromkeys(("pk", "uq", "fk"), "%(table_name)s.%(column_0_name)s")
        | {"ix": "ix_%(column_0_label)s"}
    )
    type_annotation_map: ClassVar = {
        str: Text().with_variant(Text(collation="C"), "postgresql"),  # compares code point by code point
        int: BigInteger(),
        datetime: UtcDateTime(),
        dict[str, Any]: JSON(),
    }


class UserModel(Base):
    __tablename__ = "users"
    __table_args__ = (Index("active_admins", "role", "active", "id"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    email: Mapped[str]
    email_key: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    username: Mapped[str | None]
    username_key: Mapped[str | None] = mapped_column(unique=True)
    bio: Mapped[str | None]
    role: Mapped[str]
    active: Mapped[bool]
    email_verified: Mapped[bool]
    version: Mapped[int]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    search_keys: Mapped[set["SearchKeyModel"]] = relationship(
        back_populates="user", cascade="all, delete-orphan", lazy="raise"
    )
    search_texts: AssociationProxy[set[str]] = association_proxy(
        "search_keys", "text", creator=lambda text: SearchKeyModel(text=text)
    )


class SearchKeyModel(Base):
    """A text whose prefixes find a user."""

    __tablename__ = "search_keys"

    text: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), primary_key=True, index=True)
    user: Mapped[UserModel] = relationship(back_populates="search_keys", lazy="raise")


class RecordModel(Base):
    """A record of any type: JSON, and columns for what is searched."""

    __tablename__ = "records"
    __table_args__ = (
        *(Unique(column, "type_name") for column in ("unique_1", "unique_2", "unique_3")),
        Index("records_of_an_owner", "owner_id", "type_name", "key"),
        Index("due_records", "type_name", "due", "key"),
    )

    type_name: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    owner_id: Mapped[str | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    due: Mapped[datetime | None]
    version: Mapped[int]
    content: Mapped[dict[str, Any]]
    unique_1: Mapped[str | None]
    unique_2: Mapped[str | None]
    unique_3: Mapped[str | None]
