from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Generic, TypeAlias, TypeVar

import asyncpg
from adapters.prefix_range import prefix_upper_bound
from adapters.record_values import record_to_row, unique_columns
from adapters.user_values import USER_FIELDS, user_from_plain, user_to_plain
from domain.errors import DomainError, EmailTaken, IdTaken, StaleVersion, UsernameTaken, UserNotFound
from domain.records import R, RecordType, Versioned
from domain.user import Role, User
from domain.values import Email, SearchPrefix, UserId, Username, fold
from piccolo.columns import Column, Where
from piccolo.columns.combination import And, Or
from piccolo.table import Table

from userport_piccolo.database import Database
from userport_piccolo.tables import RecordTable, UserTable

E = TypeVar("E", bound=Versioned)
Condition: TypeAlias = Where | And | Or
Write: TypeAlias = Callable[[], Awaitable[object]]


class StagedWrites:
    """The writes of a unit of work, and a lock for each row that they change or require."""

    def __init__(self) -> None:
        self.writes: list[Write] = []
        self.locks: dict[str, Write] = {}

    def take(self) -> Sequence[Write]:
        """Return what a commit does, and forget it."""
        writes, locks = self.writes, self.locks
        self.writes, self.locks = [], {}
        # Every commit locks rows in one order, so that no two wait for each other.
        return [*(locks[row] for row in sorted(locks)), *writes] if len(writes) > 1 else writes


class _Repository(Generic[E]):
    """What users and records have in common."""

    def __init__(
        self,
        table: type[Table],
        key: Column,
        errors: Mapping[str, type[DomainError]],
        database: Database,
        staged: StagedWrites,
    ) -> None:
        """`key` is the column by which the rows are in order, and `errors` those of violated constraints."""
        self._table: Final[Any] = table
        self._key: Final[Any] = key
        self._database: Final = database
        self._staged: Final = staged
        self._errors: Final = errors

    def add(self, entity: E) -> None:
        row = self._table(**self._values(entity))
        self._staged.writes.append(lambda: self._translated(self._table.insert(row)))

    def save(self, entity: E) -> None:
        update = self._table.update(self._values(entity)).where(self._at(entity, entity.version - 1))
        self._stage(entity, lambda: self._translated(update.returning(self._key)))

    def remove(self, entity: E) -> None:
        delete = self._table.delete().where(self._at(entity, entity.version))  # foreign keys do the rest
        self._stage(entity, lambda: delete.returning(self._key))

    def require(self, entity: E) -> None:
        at = self._at(entity, entity.version)
        self._stage(entity, lambda: self._table.select(self._key).where(at).lock_rows("NO KEY UPDATE"))

    def _is(self, entity: E) -> Condition:
        raise NotImplementedError

    def _values(self, entity: E) -> dict[str, Any]:
        raise NotImplementedError

    def _restore(self, row: Any) -> E:
        raise NotImplementedError

    def _at(self, entity: E, version: int) -> Condition:
        return And(self._is(entity), self._table.version == version)

    def _stage(self, entity: E, change: Write) -> None:
        async def apply() -> None:
            if not await change():
                raise StaleVersion

        row = self._is(entity)
        self._staged.writes.append(apply)
        self._staged.locks[str(row)] = lambda: self._table.select(self._key).where(row).lock_rows("NO KEY UPDATE")

    async def _translated(self, write: Awaitable[object]) -> object:
        try:
            return await write
        except asyncpg.IntegrityConstraintViolationError as error:
            translated = self._errors.get(error.constraint_name or "")
            if translated is None:
                raise
            raise translated from error

    async def _all(self, *where: Condition) -> Sequence[E]:
        return await self._query(self._table.objects().where(*where))

    async def _one(self, *where: Condition) -> E | None:
        return next(iter(await self._all(*where)), None)

    async def _page(
        self, *where: Condition, after: str | None, limit: int, descending: bool = False, skip: int = 0
    ) -> Sequence[E]:
        query = self._table.objects().where(*where)
        if after is not None:
            query = query.where(self._key < after if descending else self._key > after)
        return await self._query(query.order_by(self._key, ascending=not descending).limit(limit).offset(skip))

    async def _query(self, query: Any) -> Sequence[E]:
        return [self._restore(row) for row in await self._database.run(lambda: query.output(load_json=True))]

    async def _count(self, *where: Condition) -> int:
        return int(await self._database.run(lambda: self._table.count().where(*where)))


class PiccoloUserRepository(_Repository[User]):
    def __init__(self, database: Database, staged: StagedWrites) -> None:
        taken = {"users_email_key_key": EmailTaken, "users_username_key_key": UsernameTaken}
        super().__init__(UserTable, UserTable.id, {**taken, "users_pkey": IdTaken}, database, staged)

    async def get(self, user_id: UserId) -> User | None:
        return await self._one(UserTable.id == user_id)

    async def find_by_email(self, email: Email) -> User | None:
        return await self._one(UserTable.email_key == email.canonical)

    async def find_by_emails(self, emails: Collection[Email]) -> Sequence[User]:
        return await self._all(UserTable.email_key.is_in([email.canonical for email in emails])) if emails else []

    async def find_by_username(self, username: Username) -> User | None:
        return await self._one(UserTable.username_key == username.canonical)

    async def page(
        self, *, after: UserId | None = None, limit: int, descending: bool = False, skip: int = 0
    ) -> Sequence[User]:
        return await self._page(after=after, limit=limit, descending=descending, skip=skip)

    async def search(self, prefix: SearchPrefix, *, limit: int, descending: bool = False) -> Sequence[User]:
        return await self._page(_starts_with(prefix), after=None, limit=limit, descending=descending)

    async def count(self, prefix: SearchPrefix | None = None) -> int:
        return await (self._count() if prefix is None else self._count(_starts_with(prefix)))

    async def active_admins(self, *, limit: int) -> Sequence[User]:
        is_admin = (UserTable.role == Role.ADMIN.value, UserTable.active == True)  # noqa: E712 - it is SQL
        return await self._page(*is_admin, after=None, limit=limit)

    def _is(self, entity: User) -> Condition:
        return UserTable.id == entity.id

    def _values(self, entity: User) -> dict[str, Any]:
        return {**user_to_plain(entity), "name_key": fold(entity.name)}

    def _restore(self, row: UserTable) -> User:
        return user_from_plain(getattr(row, name) for name in USER_FIELDS)


class PiccoloRecords(_Repository[R]):
    """The records of one type."""

    def __init__(self, record_type: RecordType[R], database: Database, staged: StagedWrites) -> None:
        self._type: Final = record_type
        self._is_ours: Final = RecordTable.type_name == record_type.name
        self._unique: Final = unique_columns(record_type)
        taken = {f"records_{self._unique[name]}": error for name, error in record_type.unique.items()}
        errors = {**taken, "records_key": IdTaken, "records_owner_id_fkey": UserNotFound}
        super().__init__(RecordTable, RecordTable.key, errors, database, staged)

    async def get(self, key: str) -> R | None:
        return await self._one(self._is_ours, RecordTable.key == key)

    async def find(self, field: str, value: str) -> R | None:
        return await self._one(self._is_ours, getattr(RecordTable, self._unique[field]) == value)

    async def page(
        self,
        *,
        owner: UserId | None = None,
        after: str | None = None,
        limit: int,
        descending: bool = False,
        skip: int = 0,
    ) -> Sequence[R]:
        return await self._page(*self._of(owner), after=after, limit=limit, descending=descending, skip=skip)

    async def count(self, *, owner: UserId | None = None) -> int:
        return await self._count(*self._of(owner))

    async def due(self, moment: datetime, *, limit: int) -> Sequence[R]:
        due = RecordTable.objects().where(self._is_ours, RecordTable.due <= moment)
        return await self._query(due.order_by(RecordTable.due).order_by(RecordTable.key).limit(limit))

    def _of(self, owner: UserId | None) -> Sequence[Condition]:
        return [self._is_ours] if owner is None else [self._is_ours, RecordTable.owner_id == owner]

    def _is(self, entity: R) -> Condition:
        return And(self._is_ours, RecordTable.key == self._type.key_of(entity))

    def _values(self, entity: R) -> dict[str, Any]:
        return record_to_row(self._type, entity)

    def _restore(self, row: Any) -> R:
        return self._type.from_json(row.content)


def _starts_with(prefix: SearchPrefix) -> Condition:
    # A range uses an index for every prefix; LIKE needs escaping.
    upper = prefix_upper_bound(prefix)
    ranges = [
        column >= prefix if upper is None else And(column >= prefix, column < upper)
        for column in (UserTable.name_key, UserTable.email_key, UserTable.username_key)
    ]
    return Or(Or(ranges[0], ranges[1]), ranges[2])
