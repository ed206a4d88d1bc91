import asyncio
import gc

import pytest

from adapters.resilience import Backoff, ConnectionLimiter, ShieldedTasks, gather_bounded
from domain.errors import StorageUnavailable, TooBusy


async def test_no_more_connections_are_used_than_there_are_and_callers_queue_in_order() -> None:
    limiter = ConnectionLimiter(2)
    order: list[int] = []
    most = 0

    async def use(number: int) -> None:
        nonlocal most
        async with limiter:
            most = max(most, limiter.in_use)
            order.append(number)
            await asyncio.sleep(0)

    await asyncio.gather(*map(use, range(10)))
    assert order == list(range(10))
    assert (most, limiter.in_use) == (2, 0)


async def test_a_caller_who_waits_too_long_gets_too_busy() -> None:
    limiter = ConnectionLimiter(1, timeout_seconds=0.01)
    async with limiter:
        with pytest.raises(TooBusy):
            await limiter.acquire()
    async with limiter:
        assert limiter.in_use == 1


async def test_a_caller_who_is_cancelled_in_the_queue_takes_no_connection() -> None:
    limiter = ConnectionLimiter(1)
    await limiter.acquire()
    waiting = asyncio.create_task(limiter.acquire())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    limiter.release()
    async with limiter:
        assert limiter.in_use == 1
    assert limiter.in_use == 0


async def test_a_budget_that_is_used_up_ends_the_attempts() -> None:
    backoff = Backoff(max_pause_seconds=0.001, budget_seconds=0.02)

    async def pause_for_ever() -> None:
        while True:
            await backoff.pause()

    with pytest.raises(TooBusy):
        await pause_for_ever()
    assert backoff.seconds_left < 0


async def test_calls_return_in_their_order_with_so_many_at_a_time() -> None:
    running = most = 0

    async def call(number: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.001 * (number % 3))
        running -= 1
        return number

    found = await gather_bounded([lambda number=number: call(number) for number in range(20)], limit=4)  # type: ignore[misc]
    assert found == list(range(20))
    assert most == 4


async def test_after_a_failure_no_further_call_begins() -> None:
    begun: list[int] = []

    async def call(number: int) -> None:
        begun.append(number)
        await asyncio.sleep(0)
        if number == 1:
            raise StorageUnavailable

    with pytest.raises(StorageUnavailable):
        await gather_bounded([lambda number=number: call(number) for number in range(100)], limit=3)  # type: ignore[misc]
    assert len(begun) < 10


async def test_work_continues_without_its_cancelled_caller_and_join_waits_for_it() -> None:
    tasks = ShieldedTasks()
    go_on = asyncio.Event()
    done: list[str] = []

    async def work() -> None:
        await go_on.wait()
        done.append("work")

    caller = asyncio.create_task(tasks.run(work()))
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    asyncio.get_running_loop().call_soon(go_on.set)
    await tasks.join()
    assert done == ["work"]


async def test_a_failure_that_no_caller_waits_for_is_not_reported_to_the_loop() -> None:
    tasks = ShieldedTasks()
    reported: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))

    async def fail() -> None:
        await asyncio.sleep(0)
        raise StorageUnavailable

    caller = asyncio.create_task(tasks.run(fail()))
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    await tasks.join()
    del caller
    gc.collect()
    asyncio.get_running_loop().set_exception_handler(None)
    assert reported == []
