"""verified emails"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "8d0f6a2b91c4"
down_revision: str | None = "5d0e7c41a9b2"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    # MariaDB commits each statement on its own, so an interrupted migration must be able to resume.
    if op.get_context().as_sql or not _has_column():
        op.add_column("users", sa.Column("email_verified", sa.Boolean(), server_default=sa.false(), nullable=False))


def _has_column() -> bool:
    columns = sa.inspect(op.get_bind()).get_columns("users")
    return any(column["name"] == "email_verified" for column in columns)


def downgrade() -> None:
    op.drop_column("users", "email_verified")
