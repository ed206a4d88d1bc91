import asyncio

import pytest

from adapters.memory.storage import MemoryUnitOfWork
from adapters.storage_contract.examples import LATER, a_user
from adapters.storage_contract.steps import add, save, stored_user
from application.concurrency import Change, OptimisticRetry, RecordUpdates, check_version
from domain.errors import EmailTaken, StaleVersion, StorageUnavailable, TooBusy, UserNotFound, VersionMismatch
from domain.storage import UnitOfWork
from domain.user import User
from domain.values import Email, Name, UserId
from tests.application.fakes import ConflictingStorage


async def test_an_attempt_is_repeated_until_it_is_the_fastest() -> None:
    rounds = iter([StaleVersion(), StaleVersion(), None])

    async def attempt() -> str:
        if lost := next(rounds):
            raise lost
        return "won"

    assert await OptimisticRetry().run("a record", attempt) == "won"
    assert list(rounds) == []


async def test_another_failure_is_not_repeated() -> None:
    rounds = iter([StaleVersion(), EmailTaken(), None])

    async def attempt() -> None:
        if lost := next(rounds):
            raise lost

    with pytest.raises(EmailTaken):
        await OptimisticRetry().run("a record", attempt)
    assert list(rounds) == [None]


async def test_there_is_an_end_to_repetition() -> None:
    async def attempt() -> None:
        raise StaleVersion

    with pytest.raises(TooBusy):
        await OptimisticRetry().run("a record", attempt)


async def test_those_who_lost_go_on_one_after_another() -> None:
    retry, version, attempts = OptimisticRetry(), 0, 0

    async def attempt() -> None:
        nonlocal version, attempts
        attempts += 1
        read = version
        await asyncio.sleep(0)
        if read != version:
            raise StaleVersion
        version += 1

    await asyncio.gather(*(retry.run("a record", attempt) for _ in range(50)))
    assert version == 50
    assert attempts <= 2 * 50 + 1  # each fails at most once; more than 1,200 if all retried at once


async def test_conflicts_of_other_records_delay_no_one() -> None:
    retry, rounds = OptimisticRetry(), iter([StaleVersion(), None])
    busy, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        if lost := next(rounds):
            raise lost
        busy.set()
        await go_on.wait()

    async def quick() -> str:
        return "done"

    one = asyncio.create_task(retry.run("one record", slow))
    await busy.wait()
    assert await retry.run("one record", quick) == "done"
    assert await retry.run("another record", quick) == "done"
    go_on.set()
    await one


def test_any_version_will_do_when_none_is_expected() -> None:
    check_version(7, None)
    check_version(7, [6, 7])


@pytest.mark.parametrize("expected", [[], [6], {1, 8}])
def test_a_version_that_is_not_expected_is_a_mismatch(expected: list[int] | set[int]) -> None:
    with pytest.raises(VersionMismatch):
        check_version(7, expected)


class CountingStorage(ConflictingStorage):
    """Counts commits, and yields to other tasks in each, as a commit over a connection does."""

    def __init__(self) -> None:
        super().__init__()
        self.commits = 0

    def unit_of_work(self) -> MemoryUnitOfWork:
        unit = super().unit_of_work()
        commit = unit.commit

        async def counted() -> None:
            self.commits += 1
            await asyncio.sleep(0)
            await commit()

        unit.commit = counted  # type: ignore[method-assign] # every commit passes here
        return unit


@pytest.fixture
async def user(counting: CountingStorage) -> User:
    user = a_user().change(now=LATER, name=Name(""))
    await add(counting, user)
    counting.commits = 0
    return user


@pytest.fixture
def counting() -> CountingStorage:
    return CountingStorage()


@pytest.fixture
def updates(counting: CountingStorage) -> RecordUpdates[UserId, User]:
    return RecordUpdates(counting, lambda unit: unit.users)


def appending(text: str, email: Email | None = None) -> Change[User]:
    async def change(_: UnitOfWork, user: User | None) -> User:
        if user is None:
            raise UserNotFound
        return user.change(now=LATER, name=Name(user.name + text), email=email or user.email)

    return change


async def refuse(_: UnitOfWork, __: User | None) -> User:
    raise VersionMismatch


async def keep(_: UnitOfWork, user: User | None) -> User:
    assert user
    return user


async def test_changes_of_one_record_share_commits_and_each_caller_gets_its_own_state(
    updates: RecordUpdates[UserId, User], user: User, counting: CountingStorage
) -> None:
    states = await asyncio.gather(*(updates.apply(user.id, appending(str(number % 10))) for number in range(64)))
    assert [state.version for state in states] == list(range(3, 67))
    assert all(state.name == "".join(str(nth % 10) for nth in range(number + 1)) for number, state in enumerate(states))
    assert await stored_user(counting, user) == states[-1]
    assert counting.commits == 2  # the first one does not wait


async def test_a_change_that_is_refused_or_changes_nothing_is_no_trouble_for_the_others(
    updates: RecordUpdates[UserId, User], user: User
) -> None:
    changes = [appending("a"), refuse, appending("b"), keep, refuse, appending("c")]
    results = await asyncio.gather(*(updates.apply(user.id, change) for change in changes), return_exceptions=True)
    names = [getattr(result, "name", type(result)) for result in results]
    assert names == ["a", VersionMismatch, "ab", "ab", VersionMismatch, "abc"]


async def test_of_changes_that_arrive_together_only_the_one_in_conflict_is_refused(
    updates: RecordUpdates[UserId, User], user: User, counting: CountingStorage
) -> None:
    taken = a_user()
    await add(counting, taken)
    changes = [appending("a"), appending("b"), appending("c", taken.email), appending("d")]
    results = await asyncio.gather(*(updates.apply(user.id, change) for change in changes), return_exceptions=True)
    assert [getattr(result, "name", type(result)) for result in results] == ["a", "ab", EmailTaken, "abd"]


async def test_a_storage_outage_raises_a_separate_error_for_every_caller(
    updates: RecordUpdates[UserId, User], user: User, counting: CountingStorage
) -> None:
    async def fail() -> None:
        raise StorageUnavailable

    counting.before_commit = [fail, fail]
    attempts = (updates.apply(user.id, appending("a")) for _ in range(5))
    results = await asyncio.gather(*attempts, return_exceptions=True)
    assert [type(result) for result in results] == [StorageUnavailable] * 5
    assert len(set(map(id, results))) == 5
    assert (await updates.apply(user.id, appending("b"))).name == "b"


async def test_other_processes_that_are_faster_are_met_by_repeating(
    updates: RecordUpdates[UserId, User], user: User, counting: CountingStorage
) -> None:
    async def rival() -> None:
        stored = await stored_user(counting, user)
        assert stored
        before_commit, counting.before_commit = counting.before_commit, []
        await save(counting, stored.change(now=LATER, name=Name(stored.name + "!")))
        counting.before_commit = before_commit

    counting.before_commit = [rival] * 3
    await asyncio.gather(*(updates.apply(user.id, appending("a")) for _ in range(5)))
    stored = await stored_user(counting, user)
    assert stored
    assert sorted(stored.name) == sorted("!!!aaaaa")
    assert stored.version == 10


async def test_a_caller_who_is_cancelled_does_not_take_the_others_along(
    updates: RecordUpdates[UserId, User], user: User
) -> None:
    tasks = [asyncio.create_task(updates.apply(user.id, appending(str(number)))) for number in range(5)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    tasks[2].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(result, asyncio.CancelledError) for result in results] == [True, False, True, False, False]
    last = results[-1]
    assert isinstance(last, User)
    assert last.name.endswith("134")


async def test_changes_of_different_records_do_not_wait_for_each_other(
    updates: RecordUpdates[UserId, User], user: User, counting: CountingStorage
) -> None:
    other = a_user().change(now=LATER, name=Name(""))
    await add(counting, other)
    entered, left = asyncio.Event(), asyncio.Event()

    async def slow(_: UnitOfWork, stored: User | None) -> User:
        assert stored
        entered.set()
        await left.wait()
        return stored

    waiting = asyncio.create_task(updates.apply(user.id, slow))
    await entered.wait()
    assert (await updates.apply(other.id, appending("a"))).name == "a"
    left.set()
    assert await waiting == user
