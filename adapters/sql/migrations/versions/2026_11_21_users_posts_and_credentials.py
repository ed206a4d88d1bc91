"""users, posts and credentials"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

from adapters.sql import types

revision: str = "c51ca81b593f"
down_revision: str | None = None
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

OPTIONS: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}


def upgrade() -> None:
    op.create_table(
        "users",
        sa.Column("id", types.Id(), nullable=False),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("email_key", types.ExactText(256), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("name_key", types.ExactText(300), nullable=False),
        sa.Column("username", sa.String(32), nullable=True),
        sa.Column("username_key", types.ExactText(32), nullable=True),
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
    op.create_index("ix_users_name_key", "users", ["name_key"])
    op.create_table(
        "posts",
        sa.Column("id", types.Id(), nullable=False),
        sa.Column("author_id", types.Id(), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_at", types.UtcTime(), nullable=False),
        sa.Column("updated_at", types.UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["author_id"], ["users.id"], name="fk_posts_author_id", ondelete="CASCADE"),
        **OPTIONS,
    )
    op.create_index("ix_posts_author_id_id", "posts", ["author_id", "id"])
    op.create_table(
        "credentials",
        sa.Column("user_id", types.Id(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("user_id"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_credentials_user_id", ondelete="CASCADE"),
        **OPTIONS,
    )


def downgrade() -> None:
    op.drop_table("credentials")
    op.drop_table("posts")
    op.drop_table("users")
