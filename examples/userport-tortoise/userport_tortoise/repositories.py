import re
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Generic, TypeAlias, TypeVar

from adapters.prefix_range import prefix_upper_bound
from adapters.record_values import record_to_row, unique_columns
from adapters.user_values import USER_FIELDS, user_from_plain, user_to_plain
from domain.errors import DomainError, EmailTaken, IdTaken, StaleVersion, UsernameTaken, UserNotFound
from domain.records import R, RecordType, Versioned
from domain.user import Role, User
from domain.values import Email, SearchPrefix, UserId, Username, fold
from tortoise.exceptions import IntegrityError
from tortoise.expressions import Q
from tortoise.models import Model

from userport_tortoise.database import Database

E = TypeVar("E", bound=Versioned)
Write: TypeAlias = Callable[[], Awaitable[object]]


class TortoiseUnitOfWork:
    """Has the writes of a commit, and a lock for each row that they change or require."""

    def __init__(self, database: Database) -> None:
        self.database: Final = database
        self.writes: list[Write] = []
        self.locks: dict[tuple[str, ...], Write] = {}
        self.users: Final = TortoiseUserRepository(self)

    def records(self, record_type: RecordType[R]) -> "TortoiseRecords[R]":
        return TortoiseRecords(self, record_type)

    async def commit(self) -> None:
        writes, locks = self.writes, self.locks
        self.writes, self.locks = [], {}
        if len(writes) > 1:
            # Every commit locks rows in one order, so that no two wait for each other. On SQLite, this reads them.
            writes = [*(locks[row] for row in sorted(locks)), *writes]
        if writes:
            await self.database.transact(writes)


class _Repository(Generic[E]):
    """What users and records have in common.

    Queries are built in lambdas, since Tortoise needs its context for that.
    """

    def __init__(self, unit: TortoiseUnitOfWork, model: type[Model], errors: Mapping[str, type[DomainError]]) -> None:
        """`errors` has the error for each violated constraint, by one of its columns."""
        self._unit: Final = unit
        self._model: Final[Any] = model
        self._errors: Final = errors

    def add(self, entity: E) -> None:
        values = self._values(entity)
        self._unit.writes.append(lambda: self._apply(self._model.create(**values)))

    def save(self, entity: E) -> None:
        changes = {name: value for name, value in self._values(entity).items() if name not in self._key(entity)}
        self._stage(entity, lambda: self._at(entity, entity.version - 1).update(**changes))

    def remove(self, entity: E) -> None:
        self._stage(entity, lambda: self._at(entity, entity.version).delete())  # foreign keys do the rest

    def require(self, entity: E) -> None:
        self._stage(entity, lambda: self._at(entity, entity.version).select_for_update(no_key=True).first())

    def _key(self, entity: E) -> Mapping[str, str]:
        raise NotImplementedError

    def _values(self, entity: E) -> Mapping[str, Any]:
        raise NotImplementedError

    def _restore(self, row: Any) -> E:
        raise NotImplementedError

    def _at(self, entity: E, version: int) -> Any:
        return self._model.filter(**self._key(entity), version=version)

    def _stage(self, entity: E, change: Write) -> None:
        key = self._key(entity)
        row = self._model.__name__, *key.values()
        self._unit.locks[row] = lambda: self._model.filter(**key).select_for_update(no_key=True).first()
        self._unit.writes.append(lambda: self._apply(change()))

    async def _apply(self, change: Awaitable[object]) -> None:
        try:
            if not await change:
                raise StaleVersion
        except IntegrityError as error:
            # SQLite's message has the columns; asyncpg's detail has them before the values.
            columns = str(getattr(error.args[0], "detail", error)).partition(")=")[0]
            for column, conflict in self._errors.items():
                if re.search(rf"\b{column}\b", columns):
                    raise conflict from error
            raise

    async def _all(self, query: Callable[[], Awaitable[Sequence[Any]]]) -> Sequence[E]:
        return [self._restore(row) for row in await self._unit.database.run(query)]

    async def _one(self, query: Callable[[], Awaitable[Sequence[Any]]]) -> E | None:
        return next(iter(await self._all(query)), None)

    async def _count(self, query: Callable[[], Awaitable[int]]) -> int:
        return await self._unit.database.run(query)

    @staticmethod
    def _paged(query: Any, key: str, after: str | None, limit: int, descending: bool, skip: int) -> Any:
        if after is not None:
            query = query.filter(**{f"{key}__{'lt' if descending else 'gt'}": after})
        return query.order_by(f"-{key}" if descending else key).limit(limit).offset(skip)


class TortoiseUserRepository(_Repository[User]):
    def __init__(self, unit: TortoiseUnitOfWork) -> None:
        errors = {"email_key": EmailTaken, "username_key": UsernameTaken, "id": IdTaken}
        super().__init__(unit, unit.database.user_model, errors)

    async def get(self, user_id: UserId) -> User | None:
        return await self._one(lambda: self._model.filter(id=user_id))

    async def find_by_email(self, email: Email) -> User | None:
        return await self._one(lambda: self._model.filter(email_key=email.canonical))

    async def find_by_emails(self, emails: Collection[Email]) -> Sequence[User]:
        return await self._all(lambda: self._model.filter(email_key__in=[email.canonical for email in emails]))

    async def find_by_username(self, username: Username) -> User | None:
        return await self._one(lambda: self._model.filter(username_key=username.canonical))

    async def page(
        self, *, after: UserId | None = None, limit: int, descending: bool = False, skip: int = 0
    ) -> Sequence[User]:
        return await self._all(lambda: self._paged(self._model.all(), "id", after, limit, descending, skip))

    async def search(self, prefix: SearchPrefix, *, limit: int, descending: bool = False) -> Sequence[User]:
        return await self._all(lambda: self._paged(self._starting_with(prefix), "id", None, limit, descending, 0))

    async def count(self, prefix: SearchPrefix | None = None) -> int:
        return await self._count(lambda: (self._starting_with(prefix) if prefix else self._model.all()).count())

    async def active_admins(self, *, limit: int) -> Sequence[User]:
        admins = {"role": Role.ADMIN.value, "active": True}
        return await self._all(lambda: self._model.filter(**admins).order_by("id").limit(limit))

    def _starting_with(self, prefix: SearchPrefix) -> Any:
        # `startswith` is LIKE, which folds case on SQLite and uses no index.
        upper = prefix_upper_bound(prefix)
        bounds = {"gte": str(prefix)} if upper is None else {"gte": str(prefix), "lt": upper}
        keys = ("name_key", "email_key", "username_key")
        ranges = [Q(**{f"{key}__{bound}": text for bound, text in bounds.items()}) for key in keys]
        return self._model.filter(Q(*ranges, join_type="OR"))

    def _key(self, entity: User) -> Mapping[str, str]:
        return {"id": entity.id}

    def _values(self, entity: User) -> Mapping[str, Any]:
        return {**user_to_plain(entity), "name_key": fold(entity.name)}

    def _restore(self, row: Any) -> User:
        values = {name: getattr(row, name) for name in USER_FIELDS}
        times = {name: values[name].astimezone(UTC) for name in ("created_at", "updated_at")}  # not Tortoise's own UTC
        return user_from_plain((values | times).values())


class TortoiseRecords(_Repository[R]):
    """The records of one type."""

    def __init__(self, unit: TortoiseUnitOfWork, record_type: RecordType[R]) -> None:
        self._type: Final = record_type
        self._unique: Final = unique_columns(record_type)
        taken = {self._unique[name]: error for name, error in record_type.unique.items()}
        errors = {**taken, "key": IdTaken, "owner_id": UserNotFound, "FOREIGN KEY": UserNotFound}
        super().__init__(unit, unit.database.record_model, errors)

    async def get(self, key: str) -> R | None:
        return await self._one(lambda: self._of().filter(key=key))

    async def find(self, field: str, value: str) -> R | None:
        return await self._one(lambda: self._of().filter(**{self._unique[field]: value}))

    async def page(
        self,
        *,
        owner: UserId | None = None,
        after: str | None = None,
        limit: int,
        descending: bool = False,
        skip: int = 0,
    ) -> Sequence[R]:
        return await self._all(lambda: self._paged(self._of(owner), "key", after, limit, descending, skip))

    async def count(self, *, owner: UserId | None = None) -> int:
        return await self._count(lambda: self._of(owner).count())

    async def due(self, moment: datetime, *, limit: int) -> Sequence[R]:
        return await self._all(lambda: self._of().filter(due__lte=moment).order_by("due", "key").limit(limit))

    def _of(self, owner: UserId | None = None) -> Any:
        records = self._model.filter(type_name=self._type.name)
        return records if owner is None else records.filter(owner_id=owner)

    def _key(self, entity: R) -> Mapping[str, str]:
        return {"type_name": self._type.name, "key": self._type.key_of(entity)}

    def _values(self, entity: R) -> Mapping[str, Any]:
        return record_to_row(self._type, entity)

    def _restore(self, row: Any) -> R:
        return self._type.from_json(row.content)
