"""Tortoise on PostgreSQL."""

from typing import Any

import asyncpg
from adapters.resilience import is_raised_by
from domain.errors import DomainError, StorageNotPrepared, StorageUnavailable, TooBusy
from tortoise.backends.asyncpg.client import AsyncpgDBClient, TransactionWrapper
from tortoise.backends.base.client import BaseDBAsyncClient, PoolConnectionWrapper, TransactionContextPooled
from tortoise.migrations.schema_editor import AsyncpgSchemaEditor

from userport_tortoise.database import Conflict, Database
from userport_tortoise.models import RecordModel, UserModel


class User(UserModel):
    class Meta(UserModel.Meta):
        abstract = False


class Record(RecordModel):
    class Meta(RecordModel.Meta):
        abstract = False


class AsyncpgDatabase(Database):
    user_model = User
    record_model = Record
    schema_editor = AsyncpgSchemaEditor
    max_connections = 10

    def __init__(self, **address: object) -> None:
        super().__init__(**address, timeout=10, command_timeout=10, minsize=0, maxsize=self.max_connections)

    async def lock_schema(self, connection: BaseDBAsyncClient) -> None:
        await connection.execute_query("SELECT pg_advisory_xact_lock($1)", [0x746F72746F697365])  # "tortoise"

    def translate(self, error: Exception) -> DomainError | None:
        match str(getattr(error, "sqlstate", "") or "")[:2]:
            case "":  # no server, or one that asyncpg does not understand
                return StorageUnavailable() if _is_lost(error) else None
            case "40" | "55":  # a deadlock, a lock
                return Conflict()
            case "53":
                return TooBusy()
            case "08" | "25" | "28" | "3D" | "57" | "58" | "XX":
                return StorageUnavailable()
        return StorageNotPrepared() if isinstance(error, asyncpg.UndefinedTableError) else None


class _Client(AsyncpgDBClient):
    async def create_connection(self, with_db: bool) -> None:
        if self._pool is None:
            await super().create_connection(with_db)

    def acquire_connection(self) -> PoolConnectionWrapper[asyncpg.Connection]:
        return _Connection(self, self._pool_init_lock)

    def _in_transaction(self) -> TransactionContextPooled:
        return _Transaction(TransactionWrapper(self), self._pool_init_lock)


class _Connection(PoolConnectionWrapper[asyncpg.Connection]):
    async def __aexit__(self, *error: Any) -> None:
        if self.connection and _is_lost(error[1]):
            self.connection.terminate()  # rather than wait for it when it goes back into the pool
        await super().__aexit__(*error)


class _Transaction(TransactionContextPooled):
    async def __aenter__(self) -> Any:
        try:
            return await super().__aenter__()
        except BaseException:  # Tortoise would leave the connection out of the pool
            if self.client._connection:
                self.client._connection.terminate()
                await self.client._parent._pool.release(self.client._connection)
            raise

    async def __aexit__(self, *error: Any) -> None:
        if _is_lost(error[1]):
            self.client._connection.terminate()  # rather than wait for an answer to ROLLBACK
        await super().__aexit__(*error)


def _is_lost(error: object) -> bool:
    """Return whether an error is of the connection, rather than an answer of PostgreSQL."""
    if not isinstance(error, Exception) or hasattr(error, "sqlstate"):
        return False
    return isinstance(error, OSError | asyncpg.InterfaceError) or is_raised_by(error, "asyncpg")


client_class = _Client
