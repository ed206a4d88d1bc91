"""Alembic's environment, used by `userport storage prepare` and by Alembic's own command line."""

import asyncio
import os
from collections.abc import Sequence

from alembic import context
from alembic.operations.ops import DropTableOp, MigrationScript, ModifyTableOps
from sqlalchemy import Connection

from adapters.sql.storage import SqlStorage
from adapters.sql.tables import METADATA


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=METADATA,
        render_as_batch=connection.dialect.name == "sqlite",  # it can alter little of a table in place
        user_module_prefix="types.",
        process_revision_directives=drop_indexes_with_their_tables,
    )
    with context.begin_transaction():
        context.run_migrations()


def drop_indexes_with_their_tables(_context: object, _revision: object, scripts: Sequence[MigrationScript]) -> None:
    """Drop indexes only with their table: MariaDB refuses to drop one that a foreign key needs."""
    for script in scripts:
        for step in script.downgrade_ops_list:
            dropped = {each.table_name for each in step.ops if isinstance(each, DropTableOp)}
            step.ops = [
                each for each in step.ops if not (isinstance(each, ModifyTableOps) and each.table_name in dropped)
            ]


async def connect_and_run() -> None:
    storage = SqlStorage.open(
        os.environ.get("USERPORT_STORAGE") or context.config.get_main_option("sqlalchemy.url", "")
    )
    try:
        await storage.database.migrate(run)
    finally:
        await storage.close()


given: Connection | None = context.config.attributes.get("connection")
if given is None:
    asyncio.run(connect_and_run())
else:
    run(given)
