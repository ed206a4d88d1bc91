"""Neither the duration of a call nor a rate limit reveals whether an account exists."""

import asyncio
import math
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeAlias

import httpx
import pytest

from tests.http.records import new_user, path_of, register
from tests.http.service import Service, running
from tests.http.sign_in_helpers import PASSWORD, SIGNING_KEY, an_admin, sign_in

Request: TypeAlias = Callable[[], Awaitable[httpx.Response]]
Calls: TypeAlias = Callable[[Service, httpx.AsyncClient], Awaitable[Mapping[str, Request]]]

WRONG: Final = "wrong horse battery"


@pytest.fixture
def hashes() -> bool:
    return True


@pytest.fixture
async def service(hashes: bool) -> AsyncIterator[Service]:
    limits = ("sign_in_failures_per_account", "sign_in_failures_per_address", "mails_per_account", "mails_per_address")
    settings: dict[str, Any] = {"sign_up": "verified", **dict.fromkeys(limits, 0)}
    async with running(hashes=hashes, signing_key=SIGNING_KEY, **settings) as service:
        yield service


@pytest.fixture
async def client(service: Service) -> AsyncIterator[httpx.AsyncClient]:
    async with service.connect(documented=False) as client:
        yield client


async def addresses(service: Service, client: httpx.AsyncClient) -> Mapping[str, str]:
    """Return addresses of all kinds."""
    admin = (await an_admin(service, client)).headers
    users = [
        (await client.post("/users", json=new_user(**password), headers=admin)).raise_for_status().json()
        for password in ({"password": PASSWORD}, {"password": PASSWORD}, {})
    ]
    (await client.patch(path_of(users[1]), json={"active": False}, headers=admin)).raise_for_status()
    kinds = ("known", "disabled", "without a password")
    return {**{kind: user["email"] for kind, user in zip(kinds, users, strict=True)}, "unknown": new_user()["email"]}


async def failed_sign_ins(service: Service, client: httpx.AsyncClient) -> Mapping[str, Request]:
    names = {**await addresses(service, client), "no name": "no name at all"}
    return {kind: partial(sign_in, client, name, WRONG) for kind, name in names.items()}


async def password_resets(service: Service, client: httpx.AsyncClient) -> Mapping[str, Request]:
    return {
        kind: partial(client.post, "/auth/password-reset", json={"email": email})
        for kind, email in (await addresses(service, client)).items()
    }


async def sign_ups(service: Service, client: httpx.AsyncClient) -> Mapping[str, Request]:
    found = await addresses(service, client)
    users = {kind: new_user(email=found[kind], password=PASSWORD) for kind in ("known", "unknown")}
    return {kind: partial(client.post, "/users", json=user) for kind, user in users.items()}


async def email_changes(service: Service, client: httpx.AsyncClient) -> Mapping[str, Request]:
    found = await addresses(service, client)
    headers = (await an_admin(service, client)).headers
    bodies = {kind: {"new_email": found[kind], "current_password": PASSWORD} for kind in ("known", "unknown")}
    path = "/users/me/email-change"
    return {kind: partial(client.post, path, json=body, headers=headers) for kind, body in bodies.items()}


async def seconds_of(
    requests: Mapping[str, Request], status: int, *, rounds: int, timer: Callable[[], float]
) -> Mapping[str, Sequence[float]]:
    """Measure the kinds alternately, in random order, so that other load affects all of them."""
    measured: dict[str, list[float]] = {kind: [] for kind in requests}
    for _ in range(rounds):
        for kind in random.sample(sorted(requests), len(requests)):
            begun = timer()
            response = await requests[kind]()
            measured[kind].append(timer() - begun)
            assert response.status_code == status
    return measured


def wins(first: Sequence[float], second: Sequence[float]) -> float:
    """Return how often a value of the first sample is greater: Mann-Whitney U as a share of its maximum."""
    pairs = [(one, other) for one in first for other in second]
    return sum((one > other) + (one == other) / 2 for one, other in pairs) / len(pairs)


def max_wins(size: int) -> float:
    """Return a share of wins that one of two samples from one distribution exceeds once in ten million times.

    If only one had to check a hash, which takes longer than everything else together, it would have nearly all wins.
    """
    standard_deviation = math.sqrt((2 * size + 1) / 12) / size
    return 0.5 + 5.4 * standard_deviation


@pytest.mark.slow
@pytest.mark.usefixtures("short_delays")
@pytest.mark.parametrize(
    ("calls", "status", "hashes", "rounds"),
    [
        (failed_sign_ins, 400, True, 40),
        (sign_ups, 202, True, 40),
        # A hash takes so long that it hides whether a record is read or written.
        (sign_ups, 202, False, 400),
        (email_changes, 202, False, 400),
        (password_resets, 202, False, 400),
    ],
)
async def test_the_same_work_is_done_for_every_name(
    service: Service, client: httpx.AsyncClient, calls: Calls, status: int, rounds: int
) -> None:
    # The minimum duration of failed sign-ins would hide it. Processor time does not depend on other load.
    measured = await seconds_of(await calls(service, client), status, rounds=rounds, timer=time.process_time)
    shares = {kind: wins(measured["known"], seconds) for kind, seconds in measured.items()}
    assert all(1 - max_wins(rounds) < share < max_wins(rounds) for share in shares.values()), shares


@pytest.mark.slow
async def test_a_failed_sign_in_takes_at_least_half_a_second(service: Service, client: httpx.AsyncClient) -> None:
    requests = await failed_sign_ins(service, client)
    measured = await seconds_of(requests, 400, rounds=2, timer=time.perf_counter)
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
