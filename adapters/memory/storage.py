from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, Final, Generic, TypeAlias

from adapters.memory.table import Journal, Table
from adapters.memory.tables import RecordTable, Tables
from adapters.storage_plugin import StoragePlugin
from domain.record_types import RECORD_TYPES
from domain.records import R, RecordType
from domain.user import User
from domain.values import Email, SearchPrefix, UserId, Username

_Write: TypeAlias = Callable[[Journal], None]


class _Repository(Generic[R]):
    """Reads a table, and stages writes to it."""

    def __init__(self, table: RecordTable[R], staged: list[_Write]) -> None:
        self._table = table
        self._staged = staged

    async def get(self, key: str) -> R | None:
        return self._table.rows.get(key)

    async def page(
        self,
        *,
        owner: UserId | None = None,
        after: str | None = None,
        limit: int,
        descending: bool = False,
        skip: int = 0,
    ) -> Sequence[R]:
        return list(islice(self._rows(owner).walk(after, descending=descending), skip, skip + limit))

    def add(self, entity: R) -> None:
        self._staged.append(lambda journal: self._table.add(entity, journal))

    def save(self, entity: R) -> None:
        self._staged.append(lambda journal: self._table.save(entity, journal))

    def remove(self, entity: R) -> None:
        self._staged.append(lambda journal: self._table.remove(entity, journal))

    def require(self, entity: R) -> None:
        self._staged.append(lambda _: self._require(entity))

    def _require(self, entity: R) -> None:
        self._table.require(entity, entity.version)

    def _rows(self, owner: UserId | None) -> Table[str, R]:
        return self._table.rows if owner is None else self._table.of_owner(owner)


class MemoryUserRepository(_Repository[User]):
    def __init__(self, tables: Tables, staged: list[_Write]) -> None:
        super().__init__(tables.users, staged)
        self._tables = tables

    async def find_by_email(self, email: Email) -> User | None:
        return self._table.find("email", email.canonical)

    async def find_by_emails(self, emails: Collection[Email]) -> Sequence[User]:
        found = [await self.find_by_email(email) for email in {email.canonical: email for email in emails}.values()]
        return [user for user in found if user]

    async def find_by_username(self, username: Username) -> User | None:
        return self._table.find("username", username.canonical)

    async def search(self, prefix: SearchPrefix, *, limit: int, descending: bool = False) -> Sequence[User]:
        return list(islice(self._starting_with(prefix, descending=descending), limit))

    async def count(self, prefix: SearchPrefix | None = None) -> int:
        if prefix is None:
            return len(self._table.rows)
        return sum(1 for _ in self._starting_with(prefix))

    async def active_admins(self, *, limit: int) -> Sequence[User]:
        return list(islice((user for user in self._table.rows.walk() if user.is_active_admin), limit))

    def remove(self, user: User) -> None:
        self._staged.append(lambda journal: self._tables.remove_user(user, journal))

    def _starting_with(self, prefix: SearchPrefix, *, descending: bool = False) -> Iterator[User]:
        return (
            user
            for user in self._table.rows.walk(None, descending=descending)
            if any(key.startswith(prefix) for key in user.search_keys)
        )


class MemoryRecords(_Repository[R]):
    def __init__(self, record_type: RecordType[R], table: RecordTable[R], staged: list[_Write]) -> None:
        super().__init__(table, staged)
        self._type = record_type

    async def find(self, field: str, value: str) -> R | None:
        return self._table.find(field, value)

    async def count(self, *, owner: UserId | None = None) -> int:
        return len(self._rows(owner))

    async def due(self, moment: datetime, *, limit: int) -> Sequence[R]:
        return self._table.due(moment, limit)

    def add(self, record: R) -> None:
        self._type.to_plain(record)  # raises where other stores would
        super().add(record)

    def save(self, record: R) -> None:
        self._type.to_plain(record)
        super().save(record)


class MemoryUnitOfWork:
    def __init__(self, tables: Tables) -> None:
        self._staged: list[_Write] = []
        self._tables = tables
        self.users = MemoryUserRepository(tables, self._staged)

    def records(self, record_type: RecordType[R]) -> MemoryRecords[R]:
        return MemoryRecords(record_type, self._tables.records(record_type), self._staged)

    async def commit(self) -> None:
        # Nothing here awaits, so no other task sees a partial commit.
        writes = self._staged.copy()
        self._staged.clear()
        journal: Journal = []
        try:
            for write in writes:
                write(journal)
        except BaseException:
            for undo in reversed(journal):
                undo()
            raise


class MemoryStorage:
    def __init__(self, record_types: Sequence[RecordType[Any]] = RECORD_TYPES) -> None:
        self._tables = Tables(record_types)

    def unit_of_work(self) -> MemoryUnitOfWork:
        return MemoryUnitOfWork(self._tables)

    async def prepare(self) -> None:
        """Do nothing: there is no schema."""

    async def ping(self) -> None:
        """Do nothing: memory is always reachable."""

    async def close(self) -> None:
        """Do nothing: there are no connections."""


def open_storage(url: str, record_types: Sequence[RecordType[Any]] = RECORD_TYPES) -> MemoryStorage:
    """Open `memory://`. Raise `ValueError` if anything follows it."""
    if url != "memory://":
        raise ValueError("memory:// accepts nothing after it")
    return MemoryStorage(record_types)


PLUGIN: Final = StoragePlugin(open_storage, embedded=True, shared=False)
