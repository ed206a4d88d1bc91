"""Remove users: at once if they own little, otherwise in batches."""

from collections.abc import Sequence
from functools import cached_property
from time import monotonic
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Delete, bindparam, func, literal, select

from adapters.purging import BatchSize
from adapters.sql.engine.backend import TransactionCallback
from adapters.sql.engine.database import Database
from adapters.sql.record_tables import RecordTable
from adapters.sql.tables import REMOVED_USERS, USERS, key_of
from domain.errors import StaleVersion, TooBusy
from domain.user import User

MAX_CASCADE_ROWS: Final = 1_000
"""A user who owns at most this many rows is removed with them by one statement."""

_REMOVED_VERSION: Final = -1

_TOMBSTONE: Final = (
    USERS.update()
    .where(USERS.c.id == bindparam("_id"), USERS.c.version == bindparam("_version"))
    .values(
        email="",
        email_key=None,
        name="",
        name_key="",
        username=None,
        username_key=None,
        bio=None,
        active=False,
        email_verified=False,
        version=_REMOVED_VERSION,
    )
)
_FIRST_REMOVED: Final = select(REMOVED_USERS.c.user_id).order_by(REMOVED_USERS.c.user_id).limit(1)


class UserRemovals:
    """Removes users and everything that they own.

    Up to about `MAX_CASCADE_ROWS` rows are deleted along with their owner, through the foreign keys. Otherwise the
    user's row becomes a tombstone. It and the rows that refer to it are invisible, and no more rows can be added.
    `purge_batch` deletes these rows in batches, and finally the tombstone.
    """

    def __init__(self, database: Database, record_tables: Sequence[RecordTable[Any]]) -> None:
        self._database: Final = database
        self._owned: Final = [(each.table, each.owner) for each in record_tables if each.owner is not None]
        user_id = REMOVED_USERS.c.user_id
        self._removed_ids: Final = select(user_id).where(database.backend.is_one_of(user_id, "ids"))
        self._batch_size = BatchSize()
        self._batch_started = 0.0
        self._position: _Position | None = None
        self.has_tombstones = False
        """Whether a removal has left rows to purge since the flag was last reset."""

    def removal(self, user: User) -> TransactionCallback[None]:
        parameters = {"_id": user.id, "_version": user.version}

        def remove(connection: Connection) -> None:
            if connection.execute(self._delete_small, parameters).rowcount == 1:
                return
            if connection.execute(_TOMBSTONE, parameters).rowcount != 1:
                raise StaleVersion
            connection.execute(REMOVED_USERS.insert(), {"user_id": user.id})
            self.has_tombstones = True

        return remove

    @cached_property
    def _delete_small(self) -> Delete:
        is_it = (USERS.c.id == bindparam("_id"), USERS.c.version == bindparam("_version"))
        rows = (
            select(literal(1)).select_from(table).where(owner == bindparam("_id")).limit(MAX_CASCADE_ROWS + 1)
            for table, owner in self._owned
        )
        counts = (select(func.count()).select_from(some.subquery()).scalar_subquery() for some in rows)
        return USERS.delete().where(*is_it, sum(counts, literal(0)) <= MAX_CASCADE_ROWS)

    async def are_being_removed(self, user_ids: Sequence[str]) -> bool:
        """Return whether any of these users is being removed."""
        return bool(await self._database.fetch(self._removed_ids, {"ids": user_ids}))

    async def purge_batch(self) -> bool:
        """Delete a batch of records of removed users; return whether there may be more.

        Raises `TooBusy` while another process is purging.
        """
        if not await self._database.fetch(_FIRST_REMOVED):
            return False
        self._position = await self._database.transact(self._delete_batch)
        self._batch_size.adapt(monotonic() - self._batch_started)
        return True

    def _delete_batch(self, connection: Connection) -> "_Position | None":
        """Delete a batch; return the position to resume at, since scanning deleted rows again is slow."""
        self._batch_started = monotonic()  # when the transaction has its lock
        user_id = connection.execute(_FIRST_REMOVED.with_for_update(skip_locked=True)).scalar_one_or_none()
        if user_id is None:
            raise TooBusy
        last = self._position if self._position and self._position.user_id == user_id else _Position(user_id, 0, None)
        for nth, (table, owner) in enumerate(self._owned[last.table_index :], last.table_index):
            key = key_of(table)
            found = select(key).where(owner == user_id).order_by(key).limit(self._batch_size.records)
            if nth == last.table_index and last.key is not None:
                found = found.where(key > last.key)
            keys = connection.execute(found).scalars().all()
            if keys:
                connection.execute(table.delete().where(self._database.backend.is_one_of(key, "keys")), {"keys": keys})
                return _Position(user_id, nth, keys[-1])
        connection.execute(USERS.delete().where(USERS.c.id == user_id))
        return None


class _Position(NamedTuple):
    """The last deleted row."""

    user_id: str
    table_index: int
    key: str | None
