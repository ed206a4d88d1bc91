"""Concurrent calls: which of them share a batch, and which wait for each other."""

import asyncio
from collections.abc import Callable, Sequence

import pytest

from adapters.sql.engine.batching import RequestBatcher

TIMEOUT_SECONDS = 5


class Server:
    """Doubles numbers, and records which of them came in one batch."""

    def __init__(self, *, most: int = 10) -> None:
        self.batches: list[list[int]] = []
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.double = RequestBatcher(self._double, max_batch=most, max_wait_seconds=0.02)

    async def _double(self, numbers: Sequence[int]) -> Sequence[int | Exception]:
        self.batches.append(list(numbers))
        await self.go_on.wait()
        if 13 in numbers:
            raise LookupError("13")
        return [ValueError(str(number)) if number < 0 else 2 * number for number in numbers]


async def test_who_comes_alone_is_served_at_once_and_alone() -> None:
    server = Server()
    assert await server.double(1) == 2
    assert await server.double(2) == 4
    assert server.batches == [[1], [2]]


async def test_those_who_come_together_are_served_together_and_get_each_their_own() -> None:
    server = Server()
    assert await asyncio.gather(*map(server.double, range(5))) == [0, 2, 4, 6, 8]
    assert server.batches == [[0, 1, 2, 3, 4]]


async def test_a_batch_is_bounded_and_the_order_is_kept() -> None:
    server = Server(most=3)
    assert await asyncio.gather(*map(server.double, range(8))) == list(range(0, 16, 2))
    assert server.batches == [[0, 1, 2], [3, 4, 5], [6, 7]]


async def test_those_who_come_during_a_batch_are_the_next_one() -> None:
    server = Server()
    server.go_on.clear()
    first = asyncio.ensure_future(server.double(1))
    await until(lambda: server.batches == [[1]])
    others = [asyncio.ensure_future(server.double(number)) for number in (2, 3)]
    await asyncio.sleep(0)
    assert server.batches == [[1]]
    server.go_on.set()
    assert await asyncio.gather(first, *others) == [2, 4, 6]
    assert server.batches == [[1], [2, 3]]


async def test_the_next_batch_has_begun_when_the_last_one_is_answered() -> None:
    server = Server()
    server.go_on.clear()
    first = asyncio.ensure_future(server.double(1))
    await until(lambda: server.batches == [[1]])
    second = asyncio.ensure_future(server.double(2))
    await asyncio.sleep(0)
    server.go_on.set()
    await first
    assert server.batches == [[1], [2]]
    assert await second == 4


async def test_no_call_waits_long_for_a_slow_batch() -> None:
    server = Server()
    server.go_on.clear()
    slow = asyncio.ensure_future(server.double(1))
    await until(lambda: server.batches == [[1]])
    held, server.go_on = server.go_on, asyncio.Event()
    server.go_on.set()
    async with asyncio.timeout(TIMEOUT_SECONDS):
        assert await asyncio.gather(*map(server.double, (2, 3))) == [4, 6]
    assert not slow.done()
    held.set()
    assert await slow == 2


async def test_no_call_waits_for_ever_for_a_missing_result() -> None:
    async def forget(_: Sequence[int]) -> Sequence[int]:
        return []

    forgetful = RequestBatcher(forget, max_wait_seconds=0.02)
    with pytest.raises(ValueError, match="shorter"):
        async with asyncio.timeout(TIMEOUT_SECONDS):
            await forgetful(1)


async def test_a_failure_of_one_call_reaches_only_its_caller() -> None:
    server = Server()
    outcomes = await asyncio.gather(*map(server.double, (1, -1, 2)), return_exceptions=True)
    assert [outcomes[0], outcomes[2]] == [2, 4]
    assert isinstance(outcomes[1], ValueError)


async def test_a_failure_of_a_batch_raises_a_separate_exception_for_each_call() -> None:
    server = Server()
    outcomes = await asyncio.gather(*map(server.double, (13, 1)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [LookupError, LookupError]
    assert outcomes[0] is not outcomes[1]
    assert await server.double(1) == 2


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
async def test_who_is_cancelled_leaves_the_others_alone(turns: int) -> None:
    server = Server()
    server.go_on.clear()
    calls = [asyncio.ensure_future(server.double(number)) for number in range(4)]
    for _ in range(turns):
        await asyncio.sleep(0)
    calls[0].cancel()
    calls[2].cancel()
    server.go_on.set()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert [outcomes[1], outcomes[3]] == [2, 6]
    assert all(isinstance(outcomes[place], asyncio.CancelledError) for place in (0, 2))
    assert await server.double(4) == 8


async def test_who_is_cancelled_before_the_batch_begins_is_not_in_it() -> None:
    server = Server()
    server.go_on.clear()
    first = asyncio.ensure_future(server.double(1))
    await until(lambda: server.batches == [[1]])
    waiting = [asyncio.ensure_future(server.double(number)) for number in (2, 3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    server.go_on.set()
    assert (await first, await waiting[1]) == (2, 6)
    assert server.batches == [[1], [3]]


async def test_no_caller_keeps_waiting_when_the_batch_is_cancelled() -> None:
    async def serve(_: Sequence[int]) -> Sequence[int]:
        raise asyncio.CancelledError

    double: RequestBatcher[int, int] = RequestBatcher(serve, max_wait_seconds=0.02)
    async with asyncio.timeout(TIMEOUT_SECONDS):
        outcomes = await asyncio.gather(double(1), double(2), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [asyncio.CancelledError] * 2


async def test_after_a_crowd_of_whom_all_were_cancelled_others_are_served() -> None:
    server = Server()
    calls = [asyncio.ensure_future(server.double(number)) for number in range(4)]
    await asyncio.sleep(0)
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    async with asyncio.timeout(TIMEOUT_SECONDS):
        assert await server.double(5) == 10


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while not condition():  # noqa: ASYNC110 - it turns with the loop
            await asyncio.sleep(0)
