"""users and records"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

from adapters.sql import types

revision: str = "c1c425db7439"
down_revision: str | None = None
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

# MariaDB commits each statement on its own, so an interrupted migration must be able to resume.
OPTIONS: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "if_not_exists": True,
}


def upgrade() -> None:
    op.create_table(
        "users",
        sa.Column("id", types.Id(), nullable=False),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("email_key", types.ExactText(1024), nullable=True),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("name_key", types.ExactText(1200), nullable=False),
        sa.Column("username", sa.String(32), nullable=True),
        sa.Column("username_key", types.ExactText(128), nullable=True),
        sa.Column("bio", sa.Text(), nullable=True),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_at", types.UtcTime(), nullable=False),
        sa.Column("updated_at", types.UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("email_key", name="uq_users_email_key"),
        sa.UniqueConstraint("username_key", name="uq_users_username_key"),
        **OPTIONS,
    )
    op.create_index("ix_users_name_key", "users", ["name_key"], if_not_exists=True)
    op.create_index(
        "ix_users_role_active_id",
        "users",
        ["role", "active", "id"],
        if_not_exists=True,
        postgresql_where=sa.text("role = 'admin' AND active"),
        sqlite_where=sa.text("role = 'admin' AND active = 1"),
    )
    op.create_table(
        "removed_users",
        sa.Column("user_id", types.Id(), nullable=False),
        sa.PrimaryKeyConstraint("user_id"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_removed_users_user_id", ondelete="CASCADE"),
        **OPTIONS,
    )
    op.create_table(
        "credentials",
        sa.Column("user_id", types.Id(), nullable=False),
        sa.Column("password_hash", types.LongText(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("user_id"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_credentials_user_id", ondelete="CASCADE"),
        **OPTIONS,
    )
    op.create_table(
        "sessions",
        sa.Column("id", types.Id(), nullable=False),
        sa.Column("user_id", types.Id(), nullable=False),
        sa.Column("user_agent", types.LongText(), nullable=True),
        sa.Column("place", types.LongText(), nullable=True),
        sa.Column("token_digest", types.LongText(), nullable=False),
        sa.Column("salt", types.LongText(), nullable=False),
        sa.Column("refreshed_at", types.Json(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_at", types.UtcTime(), nullable=False),
        sa.Column("last_used_at", types.UtcTime(), nullable=False),
        sa.Column("expires_at", types.UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_sessions_user_id", ondelete="CASCADE"),
        **OPTIONS,
    )
    op.create_index("ix_sessions_user_id_id", "sessions", ["user_id", "id"], if_not_exists=True)
    op.create_index("ix_sessions_expires_at_id", "sessions", ["expires_at", "id"], if_not_exists=True)
    op.create_table(
        "posts",
        sa.Column("id", types.Id(), nullable=False),
        sa.Column("author_id", types.Id(), nullable=False),
        sa.Column("title", types.LongText(), nullable=False),
        sa.Column("body", types.LongText(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_at", types.UtcTime(), nullable=False),
        sa.Column("updated_at", types.UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["author_id"], ["users.id"], name="fk_posts_author_id", ondelete="CASCADE"),
        **OPTIONS,
    )
    op.create_index("ix_posts_author_id_id", "posts", ["author_id", "id"], if_not_exists=True)
    op.create_table(
        "sign_in_failures",
        sa.Column("key", types.ExactText(512), nullable=False),
        sa.Column("moments", types.Json(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", types.UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
        **OPTIONS,
    )
    op.create_index("ix_sign_in_failures_expires_at_key", "sign_in_failures", ["expires_at", "key"], if_not_exists=True)
    op.create_table(
        "secrets",
        sa.Column("name", types.ExactText(512), nullable=False),
        sa.Column("value", types.LongBytes(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
        **OPTIONS,
    )


def downgrade() -> None:
    for table in ("secrets", "sign_in_failures", "posts", "sessions", "credentials", "removed_users", "users"):
        op.drop_table(table)
