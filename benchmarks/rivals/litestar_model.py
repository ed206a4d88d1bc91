"""The table of the Litestar rival, as advanced-alchemy defines tables."""

# These libraries are installed where the rivals run, and nowhere else.
# mypy: disable-error-code="import-not-found", allow-subclassing-any

from advanced_alchemy.base import UUIDv7AuditBase
from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column


class User(UUIDv7AuditBase):
    """Its id, `created_at` and `updated_at` come from the base."""

    __tablename__ = "users"

    email: Mapped[str] = mapped_column(String(254), unique=True)
    name: Mapped[str] = mapped_column(String(100))
    username: Mapped[str | None] = mapped_column(String(32))
    bio: Mapped[str | None] = mapped_column(Text)
    role: Mapped[str] = mapped_column(String(16))
    active: Mapped[bool]
