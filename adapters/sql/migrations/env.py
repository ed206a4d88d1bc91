"""Run by Alembic, from `userport storage prepare` with a connection, from its own command line without one."""

import asyncio
import os

from alembic import context
from sqlalchemy import Connection

from adapters.sql.storage import SqlStorage
from adapters.sql.tables import METADATA


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=METADATA,
        render_as_batch=connection.dialect.name == "sqlite",  # which can alter little of a table in place
        user_module_prefix="types.",
    )
    with context.begin_transaction():
        context.run_migrations()


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
