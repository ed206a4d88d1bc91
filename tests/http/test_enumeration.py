"""A failed sign-in does not reveal whether an account exists: not by its duration, and not by rate limits."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Final

import httpx
import pytest

from tests.http.records import register
from tests.http.service import Service, running
from tests.http.sign_in_helpers import PASSWORD, SIGNING_KEY, an_admin, sign_in

ROUNDS: Final = 40
WRONG: Final = "wrong horse battery"

# Of two samples of this size from one distribution, one exceeds this share of wins once in ten million times. If only
# one had to check a hash, which takes longer than everything else together, it would have nearly all wins.
MAX_WINS: Final = 0.85


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    limits: dict[str, Any] = {"sign_in_failures_per_account": 0, "sign_in_failures_per_address": 0}
    async with running(signing_key=SIGNING_KEY, **limits) as service:
        yield service


@pytest.fixture
async def client(service: Service) -> AsyncIterator[httpx.AsyncClient]:
    async with service.connect(documented=False) as client:
        yield client


async def names(service: Service, client: httpx.AsyncClient) -> Mapping[str, str]:
    """Names of all kinds with which a wrong password fails."""
    admin = await an_admin(service, client)
    known = await register(client, password=PASSWORD)
    disabled = await register(client, password=PASSWORD)
    change = {"active": False}
    assert (await client.patch(f"/users/{disabled['id']}", json=change, headers=admin.headers)).status_code == 200
    return {
        "known": known["email"],
        "disabled": disabled["email"],
        "without a password": (await register(client))["email"],
        "unknown": "unknown@example.org",
        "no name": "no name at all",
    }


async def seconds_to_refuse(
    client: httpx.AsyncClient, names: Mapping[str, str], *, rounds: int, timer: Callable[[], float]
) -> Mapping[str, Sequence[float]]:
    """Measure the kinds alternately, in random order, so that other load affects all of them."""
    measured: dict[str, list[float]] = {kind: [] for kind in names}
    for _ in range(rounds):
        for kind in random.sample(sorted(names), len(names)):
            begun = timer()
            response = await sign_in(client, names[kind], WRONG)
            measured[kind].append(timer() - begun)
            assert response.status_code == 400
    return measured


def wins(first: Sequence[float], second: Sequence[float]) -> float:
    """Return how often a value of the first sample is greater: Mann-Whitney U as a share of its maximum."""
    pairs = [(one, other) for one in first for other in second]
    return sum((one > other) + (one == other) / 2 for one, other in pairs) / len(pairs)


@pytest.mark.slow
@pytest.mark.usefixtures("short_delays")
async def test_the_same_work_is_done_for_every_name(service: Service, client: httpx.AsyncClient) -> None:
    # A minimum duration of half a second would hide it. Processor time does not depend on other load.
    measured = await seconds_to_refuse(client, await names(service, client), rounds=ROUNDS, timer=time.process_time)
    shares = {kind: wins(measured["known"], seconds) for kind, seconds in measured.items()}
    assert all(1 - MAX_WINS < share < MAX_WINS for share in shares.values()), shares


@pytest.mark.slow
async def test_a_failed_sign_in_takes_at_least_half_a_second(service: Service, client: httpx.AsyncClient) -> None:
    measured = await seconds_to_refuse(client, await names(service, client), rounds=2, timer=time.perf_counter)
    clocks_apart = 0.01
    assert min(map(min, measured.values())) > 0.5 - clocks_apart


@pytest.mark.parametrize(
    ("name", "other_ways"),
    [
        (
            "ann@example.org",
            ["ANN@EXAMPLE.org", " ann@example.org\u3000", "ann@\uff45xample.org", "ann@\u24d4xample.org"],
        ),
        ("rené@bücher.example", ["rene\u0301@bücher.example", "RENÉ@xn--bcher-kva.example"]),
        ("sam_lee", ["SAM_LEE", " sam_lee "]),
    ],
)
@pytest.mark.parametrize("is_known", [True, False])
@pytest.mark.usefixtures("short_delays")
async def test_however_a_name_is_written_its_failures_count_together(
    memory_token_service: Service, name: str, other_ways: Sequence[str], is_known: bool
) -> None:
    async with memory_token_service.connect() as client:
        if is_known:
            field = "email" if "@" in name else "username"
            await register(client, password=PASSWORD, **{field: name})
        answers = await asyncio.gather(*(sign_in(client, name, WRONG) for _ in range(5)))
        assert [answer.status_code for answer in answers] == [400] * 5
        for other in other_ways:
            assert (await sign_in(client, other, WRONG)).status_code == 429


@pytest.mark.parametrize("is_known", [True, False])
@pytest.mark.usefixtures("short_delays")
async def test_a_name_that_is_not_valid_does_not_count_for_a_known_one(
    memory_token_service: Service, is_known: bool
) -> None:
    async with memory_token_service.connect() as client:
        if is_known:
            await register(client, password=PASSWORD, username="sam_lee")
        answers = await asyncio.gather(*(sign_in(client, "sam_lee", WRONG) for _ in range(5)))
        assert [answer.status_code for answer in answers] == [400] * 5
        assert (await sign_in(client, "\u017fam_lee", WRONG)).status_code == 400  # folds to an s
