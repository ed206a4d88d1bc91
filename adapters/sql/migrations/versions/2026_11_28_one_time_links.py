"""one-time links"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

from adapters.sql import types

revision: str = "b7e41d93f6a0"
down_revision: str | None = "8d0f6a2b91c4"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

# MariaDB commits each statement by itself: a migration that was interrupted there must continue where it stopped.
OPTIONS: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "if_not_exists": True,
}


def upgrade() -> None:
    op.create_table(
        "one_time_tokens",
        sa.Column("key", types.ExactText(512), nullable=False),
        sa.Column("user_id", types.Id(), nullable=False),
        sa.Column("purpose", types.LongText(), nullable=False),
        sa.Column("request_id", types.LongText(), nullable=False),
        sa.Column("digest", types.LongText(), nullable=False),
        sa.Column("address", types.LongText(), nullable=True),
        sa.Column("credential_version", sa.BigInteger(), nullable=True),
        sa.Column("target", types.LongText(), nullable=True),
        sa.Column("target_verified", sa.Boolean(), nullable=False),
        sa.Column("is_void", sa.Boolean(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_at", types.UtcTime(), nullable=False),
        sa.Column("expires_at", types.UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_one_time_tokens_user_id", ondelete="CASCADE"),
        **OPTIONS,
    )
    op.create_index("ix_one_time_tokens_user_id_key", "one_time_tokens", ["user_id", "key"], if_not_exists=True)
    op.create_index("ix_one_time_tokens_expires_at_key", "one_time_tokens", ["expires_at", "key"], if_not_exists=True)
    op.create_table(
        "pending_sign_ups",
        sa.Column("id", types.Id(), nullable=False),
        sa.Column("email", types.LongText(), nullable=False),
        sa.Column("email_key", types.LongText(), nullable=False),
        sa.Column("name", types.LongText(), nullable=False),
        sa.Column("username", types.LongText(), nullable=True),
        sa.Column("username_key", types.LongText(), nullable=True),
        sa.Column("bio", types.LongText(), nullable=True),
        sa.Column("password_hash", types.LongText(), nullable=True),
        sa.Column("digest", types.LongText(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_at", types.UtcTime(), nullable=False),
        sa.Column("expires_at", types.UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        **OPTIONS,
    )
    op.create_index("ix_pending_sign_ups_expires_at_id", "pending_sign_ups", ["expires_at", "id"], if_not_exists=True)
    op.create_table(
        "sign_in_places",
        sa.Column("user_id", types.Id(), nullable=False),
        sa.Column("places", types.Json(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("user_id"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_sign_in_places_user_id", ondelete="CASCADE"),
        **OPTIONS,
    )


def downgrade() -> None:
    for table in ("sign_in_places", "pending_sign_ups", "one_time_tokens"):
        op.drop_table(table)
