"""Find stale reads: processes read and write the same records through caches of their own while Redis fails.

    python -m tests.storage.cache_history --reads 1000000 --faults

A read is stale if it returned an older state than one whose commit was answered before the read began. Times are those
of the monotonic clock, which all processes share.
"""

import argparse
import asyncio
import multiprocessing
import time
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from random import SystemRandom
from secrets import token_hex
from typing import Any, Final, Literal, NamedTuple, TypeAlias
from uuid import UUID

from adapters.cache import cache as cache_module
from adapters.cache.config import CacheConfig
from adapters.cache.storage import CachedStorage, CachedUserRepository
from adapters.storage_contract.examples import a_session, a_user, renamed
from domain.errors import DomainError
from domain.session import SESSIONS
from domain.storage import Storage, UnitOfWork
from domain.user import User
from domain.values import SessionId, UserId
from entrypoints.cli.session import run_async
from entrypoints.storage_by_url import open_storage
from tests.servers.databases import Databases
from tests.servers.process import ServerProcess

Bug: TypeAlias = Literal["fills without a lease", "invalidates nothing", "forgets what a removed user owned"]

PROCESSES: Final = 4
READERS: Final = 6
SLOTS: Final = 8
"""The number of users at any time. A removed one is followed by another."""

REMOVED: Final = 10**9
"""The state of a removed record, which follows all versions."""

_RANDOM: Final = SystemRandom()

MAX_AGE_SECONDS: Final = 2.0
HEALING_SECONDS: Final = 2.0
"""How long after a fault a process may still do without Redis: for attempts to connect, on a busy machine."""


class Commit(NamedTuple):
    record: str
    state: int
    answered: float


class Read(NamedTuple):
    record: str
    state: int
    began: float


@dataclass(slots=True)
class History:
    commits: list[Commit] = field(default_factory=list)
    reads: list[Read] = field(default_factory=list)
    lookups: Counter[str] = field(default_factory=Counter)
    faults: list[tuple[float, float]] = field(default_factory=list)
    """When Redis was away: from, until."""


def stale_reads(history: History) -> Sequence[tuple[Read, float]]:
    """Return the stale reads, each with the seconds since the first commit that it missed was answered."""
    commits: defaultdict[str, list[Commit]] = defaultdict(list)
    for commit in sorted(history.commits, key=lambda each: each.answered):
        commits[commit.record].append(commit)
    answered = {record: [each.answered for each in of_record] for record, of_record in commits.items()}
    newest = {record: _running_maximum(each.state for each in of_record) for record, of_record in commits.items()}
    stale = []
    for read in history.reads:
        before = bisect_left(answered.get(read.record, ()), read.began)
        if before and newest[read.record][before - 1] > read.state:
            missed = next(each for each in commits[read.record] if each.state > read.state)
            stale.append((read, read.began - missed.answered))
    return stale


def is_excused(history: History, read: Read) -> bool:
    """Return whether Redis had been away shortly before the read began, or still was."""
    return any(start <= read.began <= end + HEALING_SECONDS + MAX_AGE_SECONDS for start, end in history.faults)


def _running_maximum(states: Iterable[int]) -> Sequence[int]:
    found: list[int] = []
    for state in states:
        found.append(max(state, found[-1]) if found else state)
    return found


@dataclass(frozen=True, slots=True)
class Plan:
    """What one process does."""

    number: int
    url: str
    cache_url: str
    namespace: str
    reads: int
    pause: float
    """The greatest pause of a writer between two changes, in seconds."""

    bug: Bug | None
    deadline: float
    """When it stops in any case, by the monotonic clock."""


def record_history(
    redis: ServerProcess,
    url: str,
    reads: int,
    *,
    pause: float = 0.2,
    minutes: float = 60,
    faults: bool = False,
    bug: Bug | None = None,
) -> History:
    """Let processes read and write a prepared, empty storage until they have made that many reads, or time is over."""
    context = multiprocessing.get_context("spawn")
    generations = context.Array("i", SLOTS)
    namespace = token_hex(8)
    share, deadline = reads // PROCESSES, time.monotonic() + 60 * minutes
    plans = [Plan(number, url, redis.url, namespace, share, pause, bug, deadline) for number in range(PROCESSES)]
    history = History()
    with ProcessPoolExecutor(PROCESSES, context, _share, (generations,)) as pool:
        parts = [pool.submit(_run, plan) for plan in plans]
        while faults and not any(generations[:]) and not all(part.done() for part in parts):
            time.sleep(0.05)  # until the first user is replaced, so that some reads find Redis there
        while faults and not all(part.done() for part in parts):
            time.sleep(_RANDOM.uniform(1, 10))
            history.faults.append(_fail(redis))
        for part in parts:
            made = part.result()
            history.commits += made.commits
            history.reads += made.reads
            history.lookups += made.lookups
    return history


def _fail(redis: ServerProcess) -> tuple[float, float]:
    start = time.monotonic()
    if _RANDOM.random() < 0.5:
        redis.kill()
        redis.start()
    else:
        redis.pause()
        time.sleep(_RANDOM.uniform(0.05, 1.5))
        redis.resume()
    return start, time.monotonic()


_generations: Any = None


def _share(generations: Any) -> None:
    global _generations
    _generations = generations


def _run(plan: Plan) -> History:
    if plan.bug is not None:
        _BUGS[plan.bug]()
    return run_async(_run_process(plan))


async def _run_process(plan: Plan) -> History:
    return await _Process(plan).run()


class _Process:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._history = History()
        self._store = open_storage(plan.url)
        self._storage: Storage = CachedStorage(
            _SlowReads(self._store),
            CacheConfig.parse(plan.cache_url),
            plan.namespace,
            (SESSIONS,),
            lambda outcome: self._history.lookups.update((outcome,)),
        )
        self._is_over = False

    async def run(self) -> History:
        own = range(self._plan.number, SLOTS, PROCESSES)
        for slot in own:
            await self._add(slot, 0)
        writers = [asyncio.create_task(task) for task in (self._write(), self._write(), self._replace(own))]
        await asyncio.gather(*(self._read() for _ in range(READERS)))
        self._is_over = True
        await asyncio.gather(*writers)
        await self._storage.close()
        return self._history

    async def _read(self) -> None:
        while len(self._history.reads) < self._plan.reads and time.monotonic() < self._plan.deadline:
            slot, is_session = _RANDOM.randrange(SLOTS), _RANDOM.random() < 0.5
            generation = _generations[slot] - (_RANDOM.random() < 0.1)
            if generation < 0:
                continue
            record, unit = _name(slot, generation), self._storage.unit_of_work()
            began = time.monotonic()
            found = await (unit.records(SESSIONS).get(record) if is_session else unit.users.get(UserId(record)))
            state = found.version if found else REMOVED
            self._history.reads.append(Read(f"{record} {is_session}", state, began))

    async def _write(self) -> None:
        while not self._is_over:
            await asyncio.sleep(_RANDOM.uniform(0, self._plan.pause))
            slot, is_session = _RANDOM.randrange(SLOTS), _RANDOM.random() < 0.5
            record, unit = _name(slot, _generations[slot]), self._storage.unit_of_work()
            if is_session:
                session = await unit.records(SESSIONS).get(record)
                if session is not None:
                    unit.records(SESSIONS).save(replace(session, version=session.version + 1))
                    await self._commit(unit, {f"{record} True": session.version + 1})
            else:
                user = await unit.users.get(UserId(record))
                if user is not None:
                    unit.users.save(renamed(user, f"Name {user.version + 1}"))
                    await self._commit(unit, {f"{record} False": user.version + 1})

    async def _replace(self, slots: Sequence[int]) -> None:
        """Remove users with their sessions, and add others."""
        while not self._is_over:
            await asyncio.sleep(_RANDOM.uniform(0, 4 * self._plan.pause))
            slot = _RANDOM.choice(slots)
            generation = _generations[slot]
            record, unit = _name(slot, generation), self._storage.unit_of_work()
            user = await unit.users.get(UserId(record))
            if user is not None:
                unit.users.remove(user)
                if await self._commit(unit, {f"{record} True": REMOVED, f"{record} False": REMOVED}):
                    await self._add(slot, generation + 1)

    async def _add(self, slot: int, generation: int) -> None:
        record, unit = _name(slot, generation), self._storage.unit_of_work()
        user = replace(a_user(), id=UserId(record))
        unit.users.add(user)
        unit.records(SESSIONS).add(replace(a_session(user), id=SessionId(record)))
        if await self._commit(unit, {f"{record} True": 1, f"{record} False": 1}):
            _generations[slot] = generation

    async def _commit(self, unit: UnitOfWork, states: Mapping[str, int]) -> bool:
        try:
            await unit.commit()
        except DomainError:  # another process was first
            return False
        answered = time.monotonic()
        self._history.commits += [Commit(record, state, answered) for record, state in states.items()]
        return True


def _name(slot: int, generation: int) -> str:
    return str(UUID(int=slot << 32 | generation))


class _SlowReads:
    """A storage of which some reads return late what they have read, as over a network."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    @property
    def users(self) -> Any:
        return _SlowReads(self._inner.users)

    def unit_of_work(self) -> Any:
        return _SlowReads(self._inner.unit_of_work())

    def records(self, record_type: Any) -> Any:
        return _SlowReads(self._inner.records(record_type))

    async def get(self, key: Any) -> Any:
        found = await self._inner.get(key)
        if _RANDOM.random() < 0.02:
            await asyncio.sleep(_RANDOM.uniform(0, 0.3))
        return found


def _fill_without_lease() -> None:
    vars(cache_module)["_FILL"] = "redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])"


def _invalidate_nothing() -> None:
    vars(cache_module)["_BLOCK"] = vars(cache_module)["_RELEASE"] = "return nil"


def _forget_owned_records() -> None:
    remove = CachedUserRepository.remove

    def remove_user_alone(self: CachedUserRepository, user: User) -> None:
        remove(self, user)
        self._staged.changed.discard(self._cache.generation_key)

    CachedUserRepository.remove = remove_user_alone  # type: ignore[method-assign]


_BUGS: Final[Mapping[Bug, Callable[[], None]]] = {
    "fills without a lease": _fill_without_lease,
    "invalidates nothing": _invalidate_nothing,
    "forgets what a removed user owned": _forget_owned_records,
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--reads", type=int, default=1_000_000)
    options.add_argument("--pause", type=float, default=1.0, help="greatest pause of a writer, in seconds")
    options.add_argument("--minutes", type=float, default=60, help="stop after that time in any case")
    options.add_argument("--faults", action="store_true", help="kill and pause Redis")
    options.add_argument("--bug", choices=_BUGS, help="plant a bug, which must be found")
    given = options.parse_args()
    with Databases() as databases, databases.own_server("redis") as redis, databases.fresh("sqlite") as url:
        run_async(prepare(url))
        history = record_history(
            redis, url, given.reads, pause=given.pause, minutes=given.minutes, faults=given.faults, bug=given.bug
        )
    report(history)


def report(history: History) -> None:
    stale = stale_reads(history)
    unexcused = [lag for read, lag in stale if not is_excused(history, read)]
    longest = max((lag for _, lag in stale), default=0.0)
    print(f"{len(history.reads):,} reads ({dict(history.lookups)}), {len(history.commits):,} changes")  # noqa: T201
    print(f"{len(history.faults)} faults of Redis")  # noqa: T201
    print(f"{len(stale)} stale reads, up to {longest:.3f} s; {len(unexcused)} while Redis answered")  # noqa: T201


async def prepare(url: str) -> None:
    storage = open_storage(url)
    await storage.prepare()
    await storage.close()


if __name__ == "__main__":
    main()
