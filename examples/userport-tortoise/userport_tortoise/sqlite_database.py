"""Tortoise on a SQLite file."""

import sqlite3
from pathlib import Path

from domain.errors import DomainError, StorageNotPrepared, StorageUnavailable
from tortoise.backends.base.client import BaseDBAsyncClient, TransactionContext
from tortoise.backends.sqlite.client import SqliteClient, SqliteTransactionContext, SqliteTransactionWrapper
from tortoise.migrations.schema_editor import SqliteSchemaEditor

from userport_tortoise.database import Conflict, Database
from userport_tortoise.models import RecordModel, UserModel


class User(UserModel):
    class Meta(UserModel.Meta):
        abstract = False


class Record(RecordModel):
    class Meta(RecordModel.Meta):
        abstract = False


class SqliteDatabase(Database):
    user_model = User
    record_model = Record
    schema_editor = SqliteSchemaEditor
    max_connections = 1

    def __init__(self, file: Path) -> None:
        super().__init__(file_path=str(file), busy_timeout=1_000, synchronous="FULL")  # Tortoise adds WAL, foreign keys

    async def lock_schema(self, connection: BaseDBAsyncClient) -> None:
        """Do nothing: there is one transaction at a time."""

    def translate(self, error: Exception) -> DomainError | None:
        message = str(error)
        if not isinstance(error, sqlite3.Error) or isinstance(error, sqlite3.IntegrityError):
            return None
        if "no such table" in message or "no such column" in message:
            return StorageNotPrepared()
        return Conflict() if "locked" in message else StorageUnavailable()


class _Client(SqliteClient):
    async def create_connection(self, with_db: bool) -> None:
        try:
            await super().create_connection(with_db)
        except BaseException:
            await self.close()  # it lacks some of its pragmas
            raise

    def _in_transaction(self) -> TransactionContext:
        return SqliteTransactionContext(_ImmediateTransaction(self), self._lock)


class _ImmediateTransaction(SqliteTransactionWrapper):
    """Has the write lock from its start, so what it reads first cannot change before it writes."""

    _parent: SqliteClient

    async def begin(self) -> None:
        try:
            await self._connection.rollback()  # what a failed COMMIT may have left; Tortoise would commit it
            await self._connection.execute("BEGIN IMMEDIATE")
        except BaseException:
            self._parent._lock.release()  # Tortoise would keep it for good
            raise

    async def execute_script(self, query: str) -> None:
        """Run statements one by one; sqlite3's `executescript` would commit first."""
        for statement in filter(str.strip, query.split(";")):
            await self.execute_query(statement)


client_class = _Client
