"""Tortoise on PostgreSQL."""

from functools import wraps
from typing import Any

import asyncpg
from adapters.postgresql_errors import translate_error
from adapters.storage_urls import ServerAddress
from domain.errors import StorageUnavailable
from tortoise import connections
from tortoise.backends.asyncpg.client import AsyncpgDBClient

from userport_tortoise.database import Database
from userport_tortoise.models import define_models

User, Record = define_models()


class AsyncpgDatabase(Database):
    user_model = User
    record_model = Record
    max_connections = 10

    def __init__(self, address: ServerAddress) -> None:
        limits = {"timeout": 10, "command_timeout": 10, "minsize": 0, "maxsize": self.max_connections}
        super().__init__(translate_error, **address._asdict(), **limits, connection_class=_Connection)

    async def create_tables(self) -> None:
        # One transaction at a time: `IF NOT EXISTS` fails where two do so at once.
        await connections.get(__name__).execute_query("SELECT pg_advisory_xact_lock(hashtext('userport-tortoise'))")
        await super().create_tables()


def _ending_if_lost(method: Any) -> Any:
    @wraps(method)
    async def call(self: asyncpg.Connection, *args: object, **options: object) -> object:
        try:
            return await method(self, *args, **options)
        except Exception as error:
            if isinstance(translate_error(error), StorageUnavailable):
                self.terminate()
            raise

    return call


class _Connection(asyncpg.Connection):
    """Ends when its server is lost, and so leaves the pool. Tortoise would wait for an answer to ROLLBACK."""

    execute = _ending_if_lost(asyncpg.Connection.execute)
    fetch = _ending_if_lost(asyncpg.Connection.fetch)
    fetchrow = _ending_if_lost(asyncpg.Connection.fetchrow)


class _Client(AsyncpgDBClient):
    async def create_connection(self, with_db: bool) -> None:
        if self._pool is None:
            await super().create_connection(with_db)


client_class = _Client
