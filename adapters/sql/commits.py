"""Commits, of which those that arrive together are made durable together."""

from collections.abc import Awaitable, Callable, Sequence
from functools import cache, lru_cache, partial
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Select, Table, UniqueConstraint, Update, select

from adapters.gathering import Gathering, Outcome
from adapters.sql.database import Database
from adapters.sql.dialects.dialect import Dialect
from adapters.sql.inserts import Rows
from adapters.sql.tables import is_visible, key_of
from adapters.sql.writes import PendingInsert, Values, VersionedUpdate, Write
from domain.errors import StorageUnavailable, TooBusy

W = TypeVar("W", Values, VersionedUpdate)

_MOST_AT_ONCE: Final = 1_000
_PATIENCE_SECONDS: Final = 0.1  # more than most disks take to keep something


class Commits:
    """Applies what units of work have staged, all of a unit or nothing.

    The commonest units, which add or save a single row, share transactions, as far as they add to the same table or
    save. What cannot go together with others, since it is refused or has to wait for somebody else, goes on alone, and
    is told how that ended for it. Many rows of one caller for one table are tried in that way first, too.

    Additions and saves do not share one transaction: an addition waits for whoever changes the row that it refers to,
    and two transactions that do both could wait for each other.
    """

    def __init__(self, database: Database, tables: Sequence[Table]) -> None:
        self._database: Final = database
        self._tables: Final = tables
        self._additions: Final = {
            table: Gathering(partial(self._together, partial(self._add, table)), patience_seconds=_PATIENCE_SECONDS)
            for table in tables
        }
        self._saves: Final = Gathering(partial(self._together, self._save), patience_seconds=_PATIENCE_SECONDS)

    async def apply(self, writes: Sequence[Write]) -> None:
        match writes:
            case []:
                return
            case [PendingInsert(rows=[row]) as addition]:
                done = await self._additions[addition.table](row)
            case [PendingInsert() as addition] if len(addition.rows) <= _MOST_AT_ONCE:
                done = await self._add_at_once(addition)
            case [VersionedUpdate() as save]:
                done = await self._saves(save)
            case _:
                done = False
        if not done:
            await self._alone(writes)

    async def _alone(self, writes: Sequence[Write]) -> None:
        works = [write.callback() if isinstance(write, PendingInsert) else write for write in writes]

        def apply(connection: Connection) -> None:
            for work in works:
                work(connection)

        await self._database.write(apply)

    async def _add_at_once(self, addition: PendingInsert) -> bool:
        """Add rows of one caller, all or none; tell whether they were added."""
        try:
            await self._database.insert_together(addition.table, addition.rows)
        except StorageUnavailable:
            raise
        except Exception:  # noqa: BLE001 - nothing was applied; whatever it is, it is raised to who goes on alone
            return False
        return True

    async def _together(
        self, apply: Callable[[Sequence[W]], Awaitable[Sequence[bool]]], writes: Sequence[W]
    ) -> Sequence[Outcome[bool]]:
        """Tell of each write whether it was applied."""
        try:
            return await apply(writes)
        except StorageUnavailable as error:
            return [error] * len(writes)
        except TooBusy:  # one of them would have had to wait, or something is in the way of all: each hears it alone
            return [False] * len(writes)
        except Exception:  # noqa: BLE001 - nothing was applied; who is refused ends up alone, and has it raised then
            if len(writes) == 1:
                return [False]
            half: int = len(writes) // 2
            return [*await self._together(apply, writes[:half]), *await self._together(apply, writes[half:])]

    async def _add(self, table: Table, rows: Rows) -> Sequence[bool]:
        await self._database.insert_together(table, rows)
        return [True] * len(rows)

    async def _save(self, saves: Sequence[VersionedUpdate]) -> Sequence[bool]:
        """Save those rows that are at the version before and that nobody else has locked."""
        if len(saves) == 1:  # which gains nothing by a lock beforehand
            return [False]
        return await self._database.write_together(lambda connection: self._save_on(connection, saves))

    def _save_on(self, connection: Connection, saves: Sequence[VersionedUpdate]) -> Sequence[bool]:
        saved: set[int] = set()
        alike: dict[Update, list[VersionedUpdate]] = {}
        for table in self._tables:
            of_table = [save for save in saves if save.table is table]
            versions = self._locked(connection, table, of_table) if of_table else {}
            for save in of_table:
                # Of several saves of one row, the first takes it.
                if versions.pop(save.key, None) == save.version_before:
                    alike.setdefault(save.statement, []).append(save)
                    saved.add(id(save))
        for statement, going in alike.items():
            connection.execute(statement, [save.parameters for save in going])
        return [id(save) in saved for save in saves]

    def _locked(self, connection: Connection, table: Table, saves: Sequence[VersionedUpdate]) -> dict[str, int]:
        """Lock rows, in one order, and read their versions."""
        # A changed key needs the stronger lock, which leaves out rows that a new post, say, refers to at this moment.
        changes_key = any(save.changes.keys() & _unique_columns(table) for save in saves)
        statement = _locking(table, self._database.dialect, changes_key)
        rows = connection.execute(statement, {"keys": [save.key for save in saves]}).all()
        return {row[0]: row[1] for row in rows}


@lru_cache
def _locking(table: Table, dialect: Dialect, changes_key: bool) -> Select[Any]:
    key = key_of(table)
    found = select(key, table.c.version).where(dialect.is_one_of(key, "keys"), *is_visible(table)).order_by(key)
    return found.with_for_update(skip_locked=True, key_share=not changes_key)


@cache
def _unique_columns(table: Table) -> frozenset[str]:
    constraints = (constraint for constraint in table.constraints if isinstance(constraint, UniqueConstraint))
    return frozenset(column.name for constraint in constraints for column in constraint.columns)
