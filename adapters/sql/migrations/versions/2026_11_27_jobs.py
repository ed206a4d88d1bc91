"""jobs"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from adapters.sql import types

revision: str = "5d0e7c41a9b2"
down_revision: str | None = "c1c425db7439"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", types.Id(), nullable=False),
        sa.Column("kind", types.LongText(), nullable=False),
        sa.Column("payload", types.Json(), nullable=False),
        sa.Column("due_at", types.UtcTime(), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("last_error", types.LongText(), nullable=True),
        sa.Column("failed", sa.Boolean(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        if_not_exists=True,
    )
    op.create_index("ix_jobs_due_at_id", "jobs", ["due_at", "id"], if_not_exists=True)


def downgrade() -> None:
    op.drop_table("jobs")
