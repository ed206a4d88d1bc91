"""Commit units of work; concurrent commits share a transaction (group commit)."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from itertools import chain, groupby
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Delete, Select, Table, Update, select

from adapters.sql.engine.backend import Backend, TransactionCallback
from adapters.sql.engine.batching import Outcome, RequestBatcher
from adapters.sql.engine.database import Database
from adapters.sql.engine.writes import PendingInsert, RowValues, VersionedUpdate, VersionedWrite, Write
from adapters.sql.tables import USERS, is_visible, key_of, unique_columns
from domain.errors import StaleVersion, StorageUnavailable, TooBusy

W = TypeVar("W", RowValues, VersionedUpdate, Sequence[PendingInsert])

_MAX_BATCH_ROWS: Final = 1_000
_MAX_WAIT_SECONDS: Final = 0.1  # longer than most disks take to sync


class GroupCommitter:
    """Applies staged units of work, each all or nothing.

    The most frequent units, which insert or update a single row, share transactions: inserts into one table, or
    updates. So do new users with a record of their own in each of some tables. A single row that would wait for a lock
    is committed on its own. So is every other unit, except for rows of one table, which one statement inserts.

    Inserts and updates do not share a transaction. An insert waits for a transaction that changes its owner's row, so
    two transactions with both could wait for each other.
    """

    def __init__(self, database: Database, tables: Sequence[Table]) -> None:
        self._database: Final = database
        self._tables: Final = tables
        self._locks: Final[dict[Table, Select[Any]]] = {}
        self._inserts: Final = {
            table: RequestBatcher(
                partial(self._commit_batch, partial(self._insert_all, table)),
                max_wait_seconds=_MAX_WAIT_SECONDS,
                operation="insert",
                observer=database.batches,
            )
            for table in tables
        }
        self._new_users: Final = RequestBatcher(
            partial(self._commit_batch, self._insert_users),
            max_wait_seconds=_MAX_WAIT_SECONDS,
            operation="insert",
            observer=database.batches,
        )
        self._updates: Final = RequestBatcher(
            partial(self._commit_batch, self._update_all),
            max_wait_seconds=_MAX_WAIT_SECONDS,
            operation="update",
            observer=database.batches,
        )

    async def commit(self, writes: Sequence[Write]) -> None:
        is_done = not writes
        match writes:
            case [PendingInsert(rows=[row]) as insert]:
                is_done = await self._inserts[insert.table](row)
            case [PendingInsert() as insert] if len(insert.rows) <= _MAX_BATCH_ROWS:
                is_done = await self._insert_at_once(insert)
            case [VersionedUpdate() as update]:
                is_done = await self._updates(update)
            case [PendingInsert() as first, *_] if first.table is USERS:  # which no other transaction can have locked
                inserts = [write for write in writes if isinstance(write, PendingInsert) and len(write.rows) == 1]
                is_one_of_each = len({insert.table for insert in inserts}) == len(writes)
                is_done = is_one_of_each and await self._new_users(inserts)
        if not is_done:
            await self._commit_single(writes)

    async def _commit_single(self, writes: Sequence[Write]) -> None:
        callbacks = [*self._callbacks(writes)]

        def apply(connection: Connection) -> None:
            for callback in callbacks:
                callback(connection)

        await self._database.transact(apply)

    def _callbacks(self, writes: Sequence[Write]) -> Iterator[TransactionCallback[None]]:
        """Yield callbacks that apply writes in order. Neighbours with the same statement are executed together."""
        for statement, group in groupby(writes, key=_statement_of):
            if statement is not None:
                rows = [write.parameters for write in group if isinstance(write, VersionedWrite)]
                yield partial(_execute, statement, rows)
                continue
            for write in group:
                if isinstance(write, PendingInsert):
                    yield self._database.backend.insertion(write.table, write.rows)
                elif not isinstance(write, VersionedWrite):
                    yield write

    async def _insert_at_once(self, insert: PendingInsert) -> bool:
        """Insert the rows of one caller, all or none; return False if that would have waited for a lock."""
        try:
            await self._database.insert(insert.table, insert.rows)
        except TooBusy:
            return False
        return True

    async def _commit_batch(
        self, apply: Callable[[Sequence[W]], Awaitable[Sequence[Outcome[bool]]]], writes: Sequence[W]
    ) -> Sequence[Outcome[bool]]:
        """Return whether each write was committed. The others must be committed on their own."""
        try:
            return await apply(writes)
        except StorageUnavailable as error:
            return [error] * len(writes)
        except TooBusy:  # one of them would wait for a lock, or the database is overloaded
            return [False] * len(writes)
        except Exception as error:  # noqa: BLE001 - nothing was applied; raised to the caller of that write
            if len(writes) == 1:
                return [error]
            half: int = len(writes) // 2
            return [*await self._commit_batch(apply, writes[:half]), *await self._commit_batch(apply, writes[half:])]

    async def _insert_all(self, table: Table, rows: Sequence[RowValues]) -> Sequence[Outcome[bool]]:
        await self._database.insert(table, rows)
        return [True] * len(rows)

    async def _insert_users(self, units: Sequence[Sequence[PendingInsert]]) -> Sequence[Outcome[bool]]:
        """Insert users with their records, by one statement for each table.

        The order within a single unit decides between two errors, and is kept.
        """
        rows: dict[Table, list[RowValues]] = {}
        for insert in chain.from_iterable(units):
            rows.setdefault(insert.table, []).extend(insert.rows)
        await self._database.insert_together(rows)
        return [True] * len(units)

    async def _update_all(self, updates: Sequence[VersionedUpdate]) -> Sequence[Outcome[bool]]:
        """Update the rows that are at the expected version, unlocked, and keep their unique values."""
        if len(updates) == 1:  # a lock beforehand gains nothing
            return [False]
        return await self._database.transact(lambda connection: self._update_on(connection, updates))

    def _update_on(self, connection: Connection, updates: Sequence[VersionedUpdate]) -> Sequence[Outcome[bool]]:
        outcomes: dict[int, Outcome[bool]] = {}
        alike: dict[Update, list[RowValues]] = {}
        for table in self._tables:
            of_table = [update for update in updates if update.table is table]
            if not of_table:
                continue
            if table not in self._locks:
                self._locks[table] = _lock(table, self._database.backend)
            keys = [update.key for update in of_table]
            rows = connection.execute(self._locks[table], {"keys": keys}).all()
            found = {key: (version, unique_values) for key, version, *unique_values in rows}
            for update in of_table:
                version, unique_values = found.get(update.key, (None, []))
                if version is None:  # another transaction has locked it, or it is gone
                    outcomes[id(update)] = False
                elif version != update.version_before:
                    outcomes[id(update)] = StaleVersion()
                elif unique_values != [update.row[name] for name in unique_columns(table)]:
                    outcomes[id(update)] = False  # it might wait for a transaction that takes or frees a unique value
                else:
                    changed = update.without(unique_columns(table))
                    alike.setdefault(changed.statement, []).append(changed.parameters)
                    found[update.key] = update.row["version"], unique_values
                    outcomes[id(update)] = True
        for statement, together in alike.items():
            connection.execute(statement, together)
        return [outcomes[id(update)] for update in updates]


def _statement_of(write: Write) -> Update | Delete | None:
    return write.statement if isinstance(write, VersionedWrite) else None


def _execute(statement: Update | Delete, rows: Sequence[RowValues], connection: Connection) -> None:
    """Update or delete rows, each at the version that was read. Raise `StaleVersion` if one has another.

    Rows whose unique values may be taken are updated one by one, because the first row in error decides.
    """
    is_counted = connection.dialect.supports_sane_multi_rowcount
    is_free_of_conflicts = not any(name in rows[0] for name in unique_columns(statement.table))
    for together in [rows] if is_counted and is_free_of_conflicts else [[row] for row in rows]:
        if connection.execute(statement, together).rowcount != len(together):
            raise StaleVersion


def _lock(table: Table, backend: Backend) -> Select[Any]:
    """Lock the rows that no other transaction has locked, in one order."""
    key = key_of(table)
    columns = (table.c[name] for name in ("version", *unique_columns(table)))
    found = select(key, *columns).where(backend.is_one_of(key, "keys"), *is_visible(table)).order_by(key)
    return found.with_for_update(skip_locked=True, key_share=True)
