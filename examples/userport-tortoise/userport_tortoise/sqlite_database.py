"""Tortoise on a SQLite file."""

import sqlite3
from pathlib import Path

from domain.errors import DomainError, StorageNotPrepared, StorageUnavailable, TooBusy
from tortoise.backends.base.client import TransactionContext
from tortoise.backends.sqlite.client import SqliteClient, SqliteTransactionContext, SqliteTransactionWrapper

from userport_tortoise.database import Database
from userport_tortoise.models import define_models

User, Record = define_models()


class SqliteDatabase(Database):
    user_model = User
    record_model = Record
    max_connections = 1

    def __init__(self, file: Path) -> None:
        # Tortoise adds WAL, and foreign keys.
        super().__init__(_translate_error, file_path=str(file), busy_timeout=1_000, synchronous="FULL")


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


def _translate_error(error: Exception) -> DomainError | None:
    message = str(error)
    if not isinstance(error, sqlite3.Error) or isinstance(error, sqlite3.IntegrityError):
        return None
    if "no such table" in message or "no such column" in message:
        return StorageNotPrepared()
    return TooBusy() if "locked" in message else StorageUnavailable()


client_class = _Client
