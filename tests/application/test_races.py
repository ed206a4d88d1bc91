import asyncio

import pytest

from application.races import Races, check_version
from domain.errors import EmailTaken, StaleVersion, TooBusy, VersionMismatch


async def test_an_attempt_is_repeated_until_it_is_the_fastest() -> None:
    rounds = iter([StaleVersion(), StaleVersion(), None])

    async def attempt() -> str:
        if lost := next(rounds):
            raise lost
        return "won"

    assert await Races().until_won("a record", attempt) == "won"
    assert list(rounds) == []


async def test_another_failure_is_not_repeated() -> None:
    rounds = iter([StaleVersion(), EmailTaken(), None])

    async def attempt() -> None:
        if lost := next(rounds):
            raise lost

    with pytest.raises(EmailTaken):
        await Races().until_won("a record", attempt)
    assert list(rounds) == [None]


async def test_there_is_an_end_to_repetition() -> None:
    async def attempt() -> None:
        raise StaleVersion

    with pytest.raises(TooBusy):
        await Races().until_won("a record", attempt)


async def test_those_who_lost_go_on_one_after_another() -> None:
    races, version, attempts = Races(), 0, 0

    async def attempt() -> None:
        nonlocal version, attempts
        attempts += 1
        read = version
        await asyncio.sleep(0)
        if read != version:
            raise StaleVersion
        version += 1

    await asyncio.gather(*(races.until_won("a record", attempt) for _ in range(50)))
    assert version == 50
    assert attempts <= 2 * 50 + 1  # each at most once in vain; more than 1,200 if all of them tried again at once


async def test_races_for_other_records_are_waited_for_by_nobody() -> None:
    races, rounds = Races(), iter([StaleVersion(), None])
    busy, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        if lost := next(rounds):
            raise lost
        busy.set()
        await go_on.wait()

    async def quick() -> str:
        return "done"

    one = asyncio.create_task(races.until_won("one record", slow))
    await busy.wait()
    assert await races.until_won("one record", quick) == "done"
    assert await races.until_won("another record", quick) == "done"
    go_on.set()
    await one


def test_any_version_will_do_when_none_is_expected() -> None:
    check_version(7, None)
    check_version(7, [6, 7])


@pytest.mark.parametrize("expected", [[], [6], {1, 8}])
def test_a_version_that_is_not_expected_is_a_mismatch(expected: list[int] | set[int]) -> None:
    with pytest.raises(VersionMismatch):
        check_version(7, expected)
