"""Run the migrations with Alembic."""

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from adapters.sql.migrations import revisions

MIGRATIONS: Final = Path(__file__).parent / "migrations"


def migration_config(connection: Connection | None = None) -> Config:
    """Return Alembic's configuration for the migrations in this package, to run on `connection` if given."""
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def upgrade(connection: Connection) -> None:
    """Upgrade the schema to the newest known version; leave a newer one unchanged."""
    if set(MigrationContext.configure(connection).get_current_heads()) <= revisions().known:
        command.upgrade(migration_config(connection), "head")
