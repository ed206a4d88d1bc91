"""The schema's version, kept by Alembic."""

from functools import cache
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

MIGRATIONS: Final = Path(__file__).parent / "migrations"


def migration_config(connection: Connection | None = None) -> Config:
    """Configure Alembic for the migrations in this package, to run on `connection` if there is one."""
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def upgrade(connection: Connection) -> None:
    """Bring the schema to the newest version that is known here; leave one that is newer as it is."""
    known, _ = _known_revisions()
    if set(MigrationContext.configure(connection).get_current_heads()) <= known:
        command.upgrade(migration_config(connection), "head")


def is_behind(revisions: set[str]) -> bool:
    """Tell whether the newest migration is missing from a schema at `revisions`.

    A schema with a revision that is unknown here was made by a newer userport, which sees to it that this one can
    go on with it while servers are replaced one after another.
    """
    known, heads = _known_revisions()
    return revisions <= known and not heads <= revisions


@cache
def _known_revisions() -> tuple[frozenset[str], frozenset[str]]:
    scripts = ScriptDirectory.from_config(migration_config())
    return frozenset(script.revision for script in scripts.walk_revisions()), frozenset(scripts.get_heads())
