"""A storage that counts and times every call of another one."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final, Generic

from adapters.metrics.metrics import Call, Metrics
from adapters.storage_plugin import BatchingStorage
from domain.records import R, RecordType
from domain.storage import Records, Storage, UnitOfWork, UserRepository
from domain.user import User
from domain.values import Email, SearchPrefix, UserId, Username


class _Operations:
    """The instruments of the storage port's operations. Records of all types share them."""

    def __init__(self, metrics: Metrics) -> None:
        self.commit: Final = metrics.operation("commit")
        self.prepare: Final = metrics.operation("prepare")
        self.ping: Final = metrics.operation("ping")
        self.users_get: Final = metrics.operation("users.get")
        self.users_find_by_email: Final = metrics.operation("users.find_by_email")
        self.users_find_by_emails: Final = metrics.operation("users.find_by_emails")
        self.users_find_by_username: Final = metrics.operation("users.find_by_username")
        self.users_page: Final = metrics.operation("users.page")
        self.users_search: Final = metrics.operation("users.search")
        self.users_count: Final = metrics.operation("users.count")
        self.users_active_admins: Final = metrics.operation("users.active_admins")
        self.records_get: Final = metrics.operation("records.get")
        self.records_find: Final = metrics.operation("records.find")
        self.records_page: Final = metrics.operation("records.page")
        self.records_count: Final = metrics.operation("records.count")
        self.records_due: Final = metrics.operation("records.due")


class MeasuredUserRepository:
    """A user repository that counts and times every read."""

    __slots__ = ("_inner", "_measure")

    def __init__(self, inner: UserRepository, measure: _Operations) -> None:
        self._inner = inner
        self._measure = measure

    def get(self, user_id: UserId) -> Call[User | None]:
        return self._measure.users_get(self._inner.get(user_id))

    def find_by_email(self, email: Email) -> Call[User | None]:
        return self._measure.users_find_by_email(self._inner.find_by_email(email))

    def find_by_emails(self, emails: Collection[Email]) -> Call[Sequence[User]]:
        return self._measure.users_find_by_emails(self._inner.find_by_emails(emails))

    def find_by_username(self, username: Username) -> Call[User | None]:
        return self._measure.users_find_by_username(self._inner.find_by_username(username))

    def page(
        self, *, after: UserId | None = None, limit: int, descending: bool = False, skip: int = 0
    ) -> Call[Sequence[User]]:
        return self._measure.users_page(self._inner.page(after=after, limit=limit, descending=descending, skip=skip))

    def search(self, prefix: SearchPrefix, *, limit: int, descending: bool = False) -> Call[Sequence[User]]:
        return self._measure.users_search(self._inner.search(prefix, limit=limit, descending=descending))

    def count(self, prefix: SearchPrefix | None = None) -> Call[int]:
        return self._measure.users_count(self._inner.count(prefix))

    def active_admins(self, *, limit: int) -> Call[Sequence[User]]:
        return self._measure.users_active_admins(self._inner.active_admins(limit=limit))

    def add(self, user: User) -> None:
        self._inner.add(user)

    def save(self, user: User) -> None:
        self._inner.save(user)

    def remove(self, user: User) -> None:
        self._inner.remove(user)

    def require(self, user: User) -> None:
        self._inner.require(user)


class MeasuredRecords(Generic[R]):
    """Records of one type, whose reads are counted and timed."""

    __slots__ = ("_inner", "_measure")

    def __init__(self, inner: Records[R], measure: _Operations) -> None:
        self._inner = inner
        self._measure = measure

    def get(self, key: str) -> Call[R | None]:
        return self._measure.records_get(self._inner.get(key))

    def find(self, field: str, value: str) -> Call[R | None]:
        return self._measure.records_find(self._inner.find(field, value))

    def page(
        self,
        *,
        owner: UserId | None = None,
        after: str | None = None,
        limit: int,
        descending: bool = False,
        skip: int = 0,
    ) -> Call[Sequence[R]]:
        return self._measure.records_page(
            self._inner.page(owner=owner, after=after, limit=limit, descending=descending, skip=skip)
        )

    def count(self, *, owner: UserId | None = None) -> Call[int]:
        return self._measure.records_count(self._inner.count(owner=owner))

    def due(self, moment: datetime, *, limit: int) -> Call[Sequence[R]]:
        return self._measure.records_due(self._inner.due(moment, limit=limit))

    def add(self, record: R) -> None:
        self._inner.add(record)

    def save(self, record: R) -> None:
        self._inner.save(record)

    def remove(self, record: R) -> None:
        self._inner.remove(record)

    def require(self, record: R) -> None:
        self._inner.require(record)


class MeasuredUnitOfWork:
    """A unit of work that counts and times reads and commits."""

    __slots__ = ("_inner", "_measure", "users")

    def __init__(self, inner: UnitOfWork, measure: _Operations) -> None:
        self._inner = inner
        self._measure = measure
        self.users = MeasuredUserRepository(inner.users, measure)

    def records(self, record_type: RecordType[R]) -> MeasuredRecords[R]:
        return MeasuredRecords(self._inner.records(record_type), self._measure)

    async def commit(self) -> None:
        await self._measure.commit(self._inner.commit())


class MeasuredStorage:
    """Counts and times every call of another storage."""

    def __init__(self, inner: Storage, metrics: Metrics) -> None:
        self.inner: Final = inner
        self._measure: Final = _Operations(metrics)
        if isinstance(inner, BatchingStorage):
            inner.observe_batches(metrics.count_batch)

    def unit_of_work(self) -> MeasuredUnitOfWork:
        return MeasuredUnitOfWork(self.inner.unit_of_work(), self._measure)

    async def prepare(self) -> None:
        await self._measure.prepare(self.inner.prepare())

    async def ping(self) -> None:
        await self._measure.ping(self.inner.ping())

    async def close(self) -> None:
        await self.inner.close()
