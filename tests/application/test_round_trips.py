"""The number of round trips to the storage per use case; concurrent calls count as one."""

import asyncio
from collections.abc import Awaitable, Callable
from inspect import iscoroutinefunction
from typing import Any, cast

import pytest

from adapters.runtime.domain_names import IdnaDomainNames
from adapters.runtime.system import Uuid7Source
from adapters.security.access_tokens import JwtSigner
from adapters.security.signing_keys import SigningKeys
from adapters.security.system_secrets import SystemSecrets
from application.passwords import Passwords
from application.sign_in.attempt import ClientInfo
from application.sign_in.service import SignInService
from application.sign_in.throttle import SignInThrottle
from application.storage_secret import StorageSecret
from application.users.service import NewUser, UserService
from domain.errors import InvalidCredentials, TooManyFailures
from domain.storage import Storage
from tests.application.fakes import ConflictingStorage, ManualClock, OneCommonPassword, ReadableHasher

PASSWORD = "correct horse"
CLIENT = ClientInfo(address="2001:db8::1")


class RoundTrips:
    """Counts round trips to a storage; concurrent calls count as one."""

    def __init__(self) -> None:
        self.count = 0
        self._current: asyncio.Task[None] | None = None

    async def join(self) -> None:
        if self._current is None:
            self.count += 1
            self._current = asyncio.create_task(self._travel())
        await self._current

    async def _travel(self) -> None:
        for _ in range(20):  # lets everything start that does not depend on a result
            await asyncio.sleep(0)
        self._current = None


class Counted:
    """A storage, unit of work or repository whose calls are counted as round trips."""

    def __init__(self, counted: Any, trips: RoundTrips) -> None:
        self._counted = counted
        self._trips = trips

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._counted, name)
        if name == "users":
            return Counted(attribute, self._trips)
        if name in {"unit_of_work", "records"}:
            return lambda *arguments: Counted(attribute(*arguments), self._trips)
        if not iscoroutinefunction(attribute):
            return attribute

        async def call(*arguments: Any, **options: Any) -> Any:
            await self._trips.join()
            return await attribute(*arguments, **options)

        return call


@pytest.fixture(autouse=True)
def no_refusal_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("application.sign_in.service._MIN_FAILURE_SECONDS", 0.0)


@pytest.fixture
def trips() -> RoundTrips:
    return RoundTrips()


@pytest.fixture
async def sign_ins(
    storage: ConflictingStorage, clock: ManualClock, users: UserService, trips: RoundTrips
) -> SignInService:
    """The service of a process that knows the secret; its storage contains Ann."""
    await users.register(NewUser(email="ann@example.com", name="Ann", username="ann", password=PASSWORD))
    counted = cast("Storage", Counted(storage, trips))
    secret = StorageSecret(counted, SystemSecrets())
    await secret.digest()
    return SignInService(
        counted,
        clock,
        Uuid7Source(),
        SystemSecrets(),
        IdnaDomainNames(),
        Passwords(ReadableHasher(), OneCommonPassword()),
        SignInThrottle(counted, clock, secret, per_account=5, per_address=20),
        JwtSigner(SigningKeys.new(), issuer="userport", audience="userport"),
    )


async def taken(trips: RoundTrips, call: Callable[[], Awaitable[object]]) -> int:
    before = trips.count
    await call()
    return trips.count - before


async def test_a_sign_in_takes_four_round_trips(sign_ins: SignInService, trips: RoundTrips) -> None:
    # User and failures; sessions and credential; failures again, for concurrent guesses; the commit.
    for name in ("ann", "ann@example.com"):
        assert await taken(trips, lambda name=name: sign_ins.sign_in(name, PASSWORD, CLIENT)) == 4  # type: ignore[misc]


@pytest.mark.parametrize("name", ["ann", "unknown"])
async def test_a_failure_takes_three_round_trips_whether_there_is_an_account_or_not(
    sign_ins: SignInService, trips: RoundTrips, name: str
) -> None:
    async def fail() -> None:
        with pytest.raises(InvalidCredentials):
            await sign_ins.sign_in(name, "wrong horse", CLIENT)

    for _ in range(5):
        assert await taken(trips, fail) == 3

    async def be_refused() -> None:
        with pytest.raises(TooManyFailures):
            await sign_ins.sign_in(name, PASSWORD, CLIENT)

    assert await taken(trips, be_refused) == 2


async def test_a_refresh_takes_two_round_trips(sign_ins: SignInService, trips: RoundTrips) -> None:
    tokens = await sign_ins.sign_in("ann", PASSWORD, CLIENT)
    # The session; the commit and, concurrently, the user.
    assert await taken(trips, lambda: sign_ins.refresh(tokens.refresh_token)) == 2
