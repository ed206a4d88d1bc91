from collections.abc import Sequence
from typing import Any, Final, Generic

from adapters.cache.cache import Cache, CountLookup
from adapters.cache.config import CacheConfig
from adapters.cache.entries import EntryType, record_entries, user_entries
from domain.records import R, RecordType
from domain.storage import Records, Storage, UnitOfWork, UserRepository
from domain.user import User
from domain.values import UserId


class _Staged:
    """The keys of what a unit of work changes and requires."""

    def __init__(self) -> None:
        self.changed: set[str] = set()
        self.required: set[str] = set()


class CachedUserRepository:
    """A user repository whose `get` reads through the cache."""

    def __init__(self, users: UserRepository, entries: EntryType[User], cache: Cache, staged: _Staged) -> None:
        self._users = users
        self._entries = entries
        self._cache = cache
        self._staged = staged
        self.find_by_email = users.find_by_email
        self.find_by_emails = users.find_by_emails
        self.find_by_username = users.find_by_username
        self.page = users.page
        self.search = users.search
        self.count = users.count
        self.active_admins = users.active_admins
        self.add = users.add  # a new record is not in the cache

    async def get(self, user_id: UserId) -> User | None:
        return await self._cache.get(self._entries, user_id, lambda: self._users.get(user_id))

    def save(self, user: User) -> None:
        self._users.save(user)
        self._staged.changed.add(self._cache.key(self._entries, user.id))

    def remove(self, user: User) -> None:
        self._users.remove(user)
        self._staged.changed |= {self._cache.key(self._entries, user.id), self._cache.generation_key}

    def require(self, user: User) -> None:
        self._users.require(user)
        self._staged.required.add(self._cache.key(self._entries, user.id))


class CachedRecords(Generic[R]):
    """Records of one type, whose `get` reads through the cache."""

    def __init__(
        self,
        record_type: RecordType[R],
        records: Records[R],
        entries: EntryType[R],
        cache: Cache,
        staged: _Staged,
    ) -> None:
        self._type = record_type
        self._records = records
        self._entries = entries
        self._cache = cache
        self._staged = staged
        self.find = records.find
        self.page = records.page
        self.count = records.count
        self.due = records.due
        self.add = records.add  # a new record is not in the cache

    async def get(self, key: str) -> R | None:
        return await self._cache.get(self._entries, key, lambda: self._records.get(key))

    def save(self, record: R) -> None:
        self._records.save(record)
        self._staged.changed.add(self._key(record))

    def remove(self, record: R) -> None:
        self._records.remove(record)
        self._staged.changed.add(self._key(record))

    def require(self, record: R) -> None:
        self._records.require(record)
        self._staged.required.add(self._key(record))

    def _key(self, record: R) -> str:
        return self._cache.key(self._entries, self._type.key_of(record))


class CachedUnitOfWork:
    """A unit of work whose commit invalidates the entries of the records that it changes."""

    def __init__(
        self, unit: UnitOfWork, users: EntryType[User], types: dict[str, EntryType[Any]], cache: Cache
    ) -> None:
        self._unit = unit
        self._types = types
        self._cache = cache
        self._staged = _Staged()
        self.users = CachedUserRepository(unit.users, users, cache, self._staged)

    def records(self, record_type: RecordType[R]) -> Records[R]:
        records, entries = self._unit.records(record_type), self._types.get(record_type.name)
        return records if entries is None else CachedRecords(record_type, records, entries, self._cache, self._staged)

    async def commit(self) -> None:
        changed, required = self._staged.changed.copy(), self._staged.required.copy()
        self._staged.changed.clear()
        self._staged.required.clear()
        await self._cache.commit(self._unit.commit, changed, required)


class CachedStorage:
    """Caches users, and records of some types, in Redis for reads by id; wraps another storage."""

    def __init__(
        self,
        storage: Storage,
        config: CacheConfig,
        namespace: str,
        record_types: Sequence[RecordType[Any]],
        count_lookup: CountLookup = lambda _: None,
    ) -> None:
        """`namespace` separates storages that share a Redis. `record_types` are those that are cached."""
        self.inner: Final = storage
        self._cache: Final = Cache(config, namespace, count_lookup)
        self._users: Final = user_entries()
        self._types: Final = {record_type.name: record_entries(record_type) for record_type in record_types}

    def unit_of_work(self) -> CachedUnitOfWork:
        return CachedUnitOfWork(self.inner.unit_of_work(), self._users, self._types, self._cache)

    async def prepare(self) -> None:
        await self.inner.prepare()

    async def ping(self) -> None:
        await self.inner.ping()

    async def close(self) -> None:
        await self._cache.close()
        await self.inner.close()

    async def cache_failure(self) -> str | None:
        """Return why the cache cannot be used, without any part of its URL; None if it can."""
        return await self._cache.failure()
