"""sessions and sign-in failures"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

from adapters.sql import types

revision: str = "7d2e90a4f6b8"
down_revision: str | None = "c51ca81b593f"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

OPTIONS: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}


def upgrade() -> None:
    # MariaDB commits each statement by itself: a migration that was interrupted there has to go on where it stopped.
    op.create_index(
        "ix_users_role_active_id",
        "users",
        ["role", "active", "id"],
        if_not_exists=True,
        postgresql_where=sa.text("role = 'admin' AND active"),
        sqlite_where=sa.text("role = 'admin' AND active = 1"),
    )
    op.create_table(
        "sessions",
        sa.Column("id", types.Id(), nullable=False),
        sa.Column("user_id", types.Id(), nullable=False),
        sa.Column("user_agent", sa.String(200), nullable=True),
        sa.Column("place", sa.String(64), nullable=True),
        sa.Column("token_digest", sa.String(64), nullable=False),
        sa.Column("salt", sa.String(64), nullable=False),
        sa.Column("refreshed_at", types.UtcTimes(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_at", types.UtcTime(), nullable=False),
        sa.Column("last_used_at", types.UtcTime(), nullable=False),
        sa.Column("expires_at", types.UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_sessions_user_id", ondelete="CASCADE"),
        if_not_exists=True,
        **OPTIONS,
    )
    op.create_index("ix_sessions_user_id_id", "sessions", ["user_id", "id"], if_not_exists=True)
    op.create_table(
        "sign_in_failures",
        sa.Column("key", types.ExactText(64), nullable=False),
        sa.Column("moments", types.UtcTimes(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", types.UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
        if_not_exists=True,
        **OPTIONS,
    )
    op.create_index("ix_sign_in_failures_expires_at", "sign_in_failures", ["expires_at"], if_not_exists=True)


def downgrade() -> None:
    op.drop_table("sign_in_failures")
    op.drop_table("sessions")
    op.drop_index("ix_users_role_active_id", "users")
