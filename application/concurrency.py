"""Change records under concurrent writes."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from copy import copy
from typing import Final, Generic, Protocol, TypeAlias, TypeVar
from weakref import WeakValueDictionary

from domain.errors import DomainError, IdTaken, StaleVersion, StorageUnavailable, TooBusy, VersionMismatch
from domain.records import R
from domain.storage import Storage, UnitOfWork

T = TypeVar("T")
Key = TypeVar("Key", bound=str, contravariant=True)

Expected: TypeAlias = Collection[int] | None
"""The record versions that a caller accepts as the base of a change; None for any."""

Change: TypeAlias = Callable[[UnitOfWork, R | None], Awaitable[R]]
"""Returns the next state of a record, or the given object when nothing differs.

It may stage further writes in the unit of work, but only after its last chance to raise.
"""

_MAX_ATTEMPTS: Final = 100  # each lost attempt was won by another process
_MAX_SHARED_ATTEMPTS: Final = 5
_MAX_CHANGES_PER_COMMIT: Final = 100


def check_version(version: int, expected: Expected) -> None:
    """Raise `VersionMismatch` unless `version` is one of those expected."""
    if expected is not None and version not in expected:
        raise VersionMismatch


async def commit_additions(unit: UnitOfWork) -> None:
    """Commit; raise `StaleVersion` where another writer has added one of the records, so that the attempt is repeated.

    Use it where the key follows from the purpose of a record, as for a counter: `IdTaken` then means a lost race.
    Raises what `UnitOfWork.commit` raises, except `IdTaken`.
    """
    try:
        await unit.commit()
    except IdTaken:
        raise StaleVersion from None


class OptimisticRetry:
    """Repeats an operation that lost to a concurrent writer, so a change without an expected version never fails."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def run(self, key: str, attempt: Callable[[], Awaitable[T]]) -> T:
        """Call `attempt`, which reads, changes and commits, until it does not raise `StaleVersion`; return its result.

        The first attempt does not wait. Later attempts of this process with the same key run one after another; in
        parallel they would make each other fail. Raises `TooBusy` after 100 attempts.
        """
        try:
            return await attempt()
        except StaleVersion:
            lock = self._locks.setdefault(key, asyncio.Lock())
        async with lock:
            for _ in range(_MAX_ATTEMPTS):
                try:
                    return await attempt()
                except StaleVersion:
                    continue
        raise TooBusy


class Repository(Protocol[Key, R]):
    """The part of a repository that changing a record needs."""

    async def get(self, key: Key, /) -> R | None: ...

    def save(self, record: R, /) -> None: ...


class RecordUpdates(Generic[Key, R]):
    """Applies changes to records of one type. Concurrent changes of one record share a read and a commit.

    Writers of this process therefore never conflict. Conflicts with other processes are retried.
    """

    def __init__(self, storage: Storage, repository: Callable[[UnitOfWork], Repository[Key, R]]) -> None:
        self._storage: Final = storage
        self._repository: Final = repository
        self._waiting: Final[dict[Key, list[tuple[Change[R], asyncio.Future[R]]]]] = {}
        self._tasks: Final[set[asyncio.Task[None]]] = set()

    async def apply(self, key: Key, change: Change[R]) -> R:
        """Return the state that `change` makes of the record, once it is committed.

        A conflict with another process calls `change` again.

        Raises:
            TooBusy: After 100 attempts.
            Exception: Whatever `change` and `UnitOfWork.commit` raise, except `StaleVersion`.
        """
        if key in self._waiting:
            result: asyncio.Future[R] = asyncio.get_running_loop().create_future()
            self._waiting[key].append((change, result))
            return await result
        self._waiting[key] = []
        try:
            return await self._apply_single(key, change)
        finally:
            if self._waiting[key]:
                task = asyncio.create_task(self._commit_waiting(key))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            else:
                del self._waiting[key]

    async def _commit_waiting(self, key: Key) -> None:
        changes: Sequence[tuple[Change[R], asyncio.Future[R]]] = []
        try:
            while changes := self._waiting[key][:_MAX_CHANGES_PER_COMMIT]:
                del self._waiting[key][: len(changes)]
                await self._commit(key, [(change, result) for change, result in changes if not result.done()])
        finally:
            for _, result in (*changes, *self._waiting.pop(key)):  # non-empty only when the event loop ends
                result.cancel()

    async def _apply_single(self, key: Key, change: Change[R]) -> R:
        for _ in range(_MAX_ATTEMPTS):
            unit = self._storage.unit_of_work()
            repository = self._repository(unit)
            try:
                record = await repository.get(key)
                changed = await change(unit, record)
                if changed is not record:
                    repository.save(changed)
                    await unit.commit()
            except StaleVersion:
                continue
            return changed
        raise TooBusy

    async def _commit(self, key: Key, changes: Sequence[tuple[Change[R], asyncio.Future[R]]]) -> None:
        """Commit the changes, and set the result of each."""
        for _ in range(_MAX_SHARED_ATTEMPTS if len(changes) > 1 else 0):
            try:
                return await self._commit_batch(key, changes)
            except StaleVersion:
                continue
            except (TooBusy, StorageUnavailable) as error:
                return _fail(changes, error)
            except DomainError:
                break
            except Exception as error:  # noqa: BLE001 - not swallowed: each caller has it raised
                return _fail(changes, error)
        for change, result in changes:  # one of several conflicts with another record or change
            try:
                changed = await self._apply_single(key, change)
            except Exception as error:  # noqa: BLE001 - not swallowed: the caller has it raised
                _fail([(change, result)], error)
            else:
                if not result.done():  # its caller was cancelled
                    result.set_result(changed)
        return None

    async def _commit_batch(self, key: Key, changes: Sequence[tuple[Change[R], asyncio.Future[R]]]) -> None:
        unit = self._storage.unit_of_work()
        repository = self._repository(unit)
        before = record = await repository.get(key)
        outcomes: list[tuple[asyncio.Future[R], R | DomainError]] = []
        for change, result in changes:
            try:
                following = await change(unit, record)
            except (TooBusy, StorageUnavailable):
                raise
            except DomainError as error:
                outcomes.append((result, error))
                continue
            if following is not record:
                repository.save(following)
                record = following
            outcomes.append((result, following))
        if record is not before:
            await unit.commit()
        for result, outcome in outcomes:
            if result.done():  # its caller was cancelled
                continue
            if isinstance(outcome, DomainError):
                result.set_exception(outcome)
            else:
                result.set_result(outcome)


def _fail(changes: Sequence[tuple[Change[R], asyncio.Future[R]]], error: Exception) -> None:
    for _, result in changes:
        if not result.done():
            result.set_exception(copy(error))  # raising extends the traceback of an exception
