import re
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Generic, TypeAlias, TypeVar

from adapters.prefix_range import prefix_upper_bound
from adapters.user_values import USER_FIELDS, user_from_plain, user_to_plain
from domain.errors import DomainError, EmailTaken, IdTaken, StaleVersion, UsernameTaken, UserNotFound
from domain.records import R, RecordType, Versioned
from domain.user import Role, User
from domain.values import Email, SearchPrefix, UserId, Username, fold
from tortoise.exceptions import IntegrityError
from tortoise.expressions import Q
from tortoise.models import Model
from tortoise.queryset import QuerySet

from userport_tortoise.database import Database
from userport_tortoise.models import RecordModel, UserModel

E = TypeVar("E", bound=Versioned)
T = TypeVar("T")
M = TypeVar("M", bound=Model)
Write: TypeAlias = Callable[[], Awaitable[object]]


class StagedWrites:
    """The writes of a unit of work, and a lock for each row that they change or require."""

    def __init__(self) -> None:
        self.writes: list[Write] = []
        self.locks: dict[tuple[str, ...], Write] = {}

    def take(self) -> Sequence[Write]:
        """Return what a commit does, and forget it."""
        writes, locks = self.writes, self.locks
        self.writes, self.locks = [], {}
        # Every commit locks rows in one order, so that no two wait for each other. On SQLite, this reads them.
        return [*(locks[row] for row in sorted(locks)), *writes] if len(writes) > 1 else writes


class _Repository(Generic[E, M]):
    """What users and records have in common.

    Queries are built in lambdas, since Tortoise needs its context for that.
    """

    def __init__(
        self, database: Database, staged: StagedWrites, model: type[M], errors: Mapping[str, type[DomainError]]
    ) -> None:
        """`errors` has the error for each violated constraint, by one of its columns."""
        self._database: Final = database
        self._staged: Final = staged
        self._model: Final[type[M]] = model
        self._errors: Final = errors

    def add(self, entity: E) -> None:
        values = self._values(entity)
        self._staged.writes.append(lambda: self._translated(self._model.create(**values)))

    def save(self, entity: E) -> None:
        changes = {name: value for name, value in self._values(entity).items() if name not in self._key(entity)}
        self._stage(entity, lambda: self._translated(self._at(entity, entity.version - 1).update(**changes)))

    def remove(self, entity: E) -> None:
        self._stage(entity, lambda: self._at(entity, entity.version).delete())  # foreign keys do the rest

    def require(self, entity: E) -> None:
        self._stage(entity, lambda: self._at(entity, entity.version).select_for_update(no_key=True).first())

    def _key(self, entity: E) -> Mapping[str, str]:
        raise NotImplementedError

    def _values(self, entity: E) -> Mapping[str, Any]:
        raise NotImplementedError

    def _restore(self, row: M) -> E:
        raise NotImplementedError

    def _at(self, entity: E, version: int) -> QuerySet[M]:
        return self._model.filter(**self._key(entity), version=version)

    def _stage(self, entity: E, change: Write) -> None:
        async def apply() -> None:
            if not await change():
                raise StaleVersion

        def lock() -> Awaitable[object]:
            return self._model.filter(**self._key(entity)).select_for_update(no_key=True).first()

        self._staged.writes.append(apply)
        self._staged.locks[self._model.__name__, *self._key(entity).values()] = lock

    async def _translated(self, write: Awaitable[T]) -> T:
        try:
            return await write
        except IntegrityError as error:
            # SQLite's message has the columns; asyncpg's detail has them before the values.
            columns = str(getattr(error.args[0], "detail", error)).partition(")=")[0]
            for column, meaning in self._errors.items():
                if re.search(rf"\b{column}\b", columns):
                    raise meaning from error
            raise

    async def _all(self, query: Callable[[], QuerySet[M]]) -> Sequence[E]:
        return [self._restore(row) for row in await self._database.run(query)]

    async def _one(self, query: Callable[[], QuerySet[M]]) -> E | None:
        return next(iter(await self._all(query)), None)

    @staticmethod
    def _paged(query: QuerySet[M], key: str, after: str | None, limit: int, descending: bool, skip: int) -> QuerySet[M]:
        if after is not None:
            query = query.filter(**{f"{key}__{'lt' if descending else 'gt'}": after})
        return query.order_by(f"-{key}" if descending else key).limit(limit).offset(skip)


class TortoiseUserRepository(_Repository[User, UserModel]):
    def __init__(self, database: Database, staged: StagedWrites) -> None:
        errors = {"email_key": EmailTaken, "username_key": UsernameTaken, "id": IdTaken}
        super().__init__(database, staged, database.user_model, errors)

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
        return await self._database.run(lambda: (self._starting_with(prefix) if prefix else self._model.all()).count())

    async def active_admins(self, *, limit: int) -> Sequence[User]:
        return await self._all(
            lambda: self._model.filter(role=Role.ADMIN.value, active=True).order_by("id").limit(limit)
        )

    def _starting_with(self, prefix: SearchPrefix) -> QuerySet[UserModel]:
        # `startswith` is LIKE, which folds case on SQLite and uses no index.
        upper = prefix_upper_bound(prefix)
        until = {} if upper is None else {"lt": upper}
        keys = ("name_key", "email_key", "username_key")
        bounds = {"gte": str(prefix), **until}
        ranges = [Q(**{f"{key}__{bound}": text for bound, text in bounds.items()}) for key in keys]
        return self._model.filter(Q(*ranges, join_type="OR"))

    def _key(self, entity: User) -> Mapping[str, str]:
        return {"id": entity.id}

    def _values(self, entity: User) -> Mapping[str, Any]:
        return {**user_to_plain(entity), "name_key": fold(entity.name)}

    def _restore(self, row: UserModel) -> User:
        values = {name: getattr(row, name) for name in USER_FIELDS}
        times = {name: values[name].astimezone(UTC) for name in ("created_at", "updated_at")}  # not Tortoise's own UTC
        return user_from_plain((values | times).values())


class TortoiseRecords(_Repository[R, RecordModel]):
    """The records of one type."""

    def __init__(self, record_type: RecordType[R], database: Database, staged: StagedWrites) -> None:
        self._type: Final = record_type
        self._unique: Final = {name: f"unique_{number}" for number, name in enumerate(record_type.unique, start=1)}
        taken = {self._unique[name]: error for name, error in record_type.unique.items()}
        errors = {**taken, "key": IdTaken, "owner_id": UserNotFound, "FOREIGN KEY": UserNotFound}
        super().__init__(database, staged, database.record_model, errors)

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
        return await self._database.run(lambda: self._of(owner).count())

    async def due(self, moment: datetime, *, limit: int) -> Sequence[R]:
        return await self._all(lambda: self._of().filter(due__lte=moment).order_by("due", "key").limit(limit))

    def _of(self, owner: UserId | None = None) -> QuerySet[RecordModel]:
        records = self._model.filter(type=self._type.name)
        return records if owner is None else records.filter(owner_id=owner)

    def _key(self, entity: R) -> Mapping[str, str]:
        return {"type": self._type.name, "key": self._type.key_of(entity)}

    def _values(self, entity: R) -> Mapping[str, Any]:
        unique = self._type.unique_values_of(entity)
        return {
            **self._key(entity),
            "owner_id": self._type.owner_of(entity),
            "due": self._type.due_of(entity),
            "version": entity.version,
            "content": self._type.to_json(entity),
            **{column: unique.get(name) for name, column in self._unique.items()},
        }

    def _restore(self, row: RecordModel) -> R:
        return self._type.from_json(row.content)
