"""Limit how often passwords can be guessed."""

import asyncio
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, TypeAlias

from application.concurrency import OptimisticRetry
from application.networks import network_of, networks_of
from application.ports import Clock
from application.storage_secret import StorageSecret
from domain.errors import IdTaken, StaleVersion, TooManyFailures
from domain.sign_in_failures import SIGN_IN_FAILURES, SignInFailures
from domain.storage import Storage, UnitOfWork

_SITE_FACTOR: Final = 5
"""An IPv6 /48 may have this many times the failures of an address; it contains 65,536 networks that count as one."""


class _Scope(Enum):
    """What a counter counts: attempts at an account, at an account from its own network, or from a network."""

    ACCOUNT = auto()
    HOME = auto()
    NETWORK = auto()


@dataclass(frozen=True, slots=True)
class _Counter:
    """A counter of failures with its limit; its key is a digest."""

    scope: _Scope
    key: str
    limit: int


_Failures: TypeAlias = Mapping[str, SignInFailures | None]
"""The stored failures of each counter, by key."""


class ThrottledAttempt:
    """One attempt at a password: judged by earlier failures, and counted itself if it fails."""

    def __init__(self, storage: Storage, clock: Clock, retry: OptimisticRetry, counters: Sequence[_Counter]) -> None:
        self._storage = storage
        self._clock = clock
        self._retry = retry
        self._counters = counters
        self._known: _Failures = {}
        self.at_home = False
        """Whether the account has a session from the same network. Failures elsewhere then do not block it."""

    async def read(self) -> None:
        """Read the failures so far."""
        self._known = await self._read(self._storage.unit_of_work())

    def check(self) -> None:
        """Raise `TooManyFailures` when the attempt must wait, according to `read`."""
        self._check(self._known)

    async def count_failure(self) -> None:
        """Count a failure, durably. Raise `TooManyFailures` when concurrent failures reached the limit."""
        if counted := self._counted():
            await self._retry.run(counted[-1].key, self._count_one)

    async def stage_success(self, unit: UnitOfWork) -> None:
        """Stage the reset of the account's failures. Raise `TooManyFailures` according to the stored state."""
        failures = await self._read(unit)
        self._check(failures)
        for counter in self._blocking():
            stored = failures[counter.key]
            if counter.scope is not _Scope.NETWORK and stored is not None and stored.moments:
                unit.records(SIGN_IN_FAILURES).save(stored.cleared(self._clock.now()))

    async def _count_one(self) -> None:
        unit = self._storage.unit_of_work()
        # Start with the known state: the commit fails if it is stale.
        failures, self._known = self._known or await self._read(unit), {}
        self._check(failures)
        now = self._clock.now()
        for counter in self._counted():
            stored = failures[counter.key]
            if stored is None:
                unit.records(SIGN_IN_FAILURES).add(SignInFailures.first(counter.key, now))
            else:
                unit.records(SIGN_IN_FAILURES).save(stored.add_failure(now, counter.limit))
        try:
            await unit.commit()
        except IdTaken:  # a concurrent call counted the first one
            raise StaleVersion from None

    def _check(self, failures: _Failures) -> None:
        now = self._clock.now()
        blocking = [(counter.limit, failures[counter.key]) for counter in self._blocking()]
        ends = [stored.blocked_until(limit, now) for limit, stored in blocking if stored is not None]
        if waits := [math.ceil((end - now).total_seconds()) for end in ends if end]:
            raise TooManyFailures(max(waits))

    def _counted(self) -> Sequence[_Counter]:
        return [counter for counter in self._counters if counter.scope is not _Scope.HOME or self.at_home]

    def _blocking(self) -> Iterable[_Counter]:
        return (counter for counter in self._counted() if counter.scope is not _Scope.ACCOUNT or not self.at_home)

    async def _read(self, unit: UnitOfWork) -> _Failures:
        """Read all counters concurrently, which a store may do in one round trip."""
        keys = [counter.key for counter in self._counters]
        found = await asyncio.gather(*map(unit.records(SIGN_IN_FAILURES).get, keys))
        return dict(zip(keys, found, strict=True))


class SignInThrottle:
    """Blocks attempts at an account, or from a network, after too many failures within a minute.

    The counters are records of the storage, so all processes share them. A blocked attempt is not counted, so a block
    ends by itself. A persistent attacker cannot lock the owner out: failures from elsewhere do not block a network from
    which the account is signed in. A limit of 0 means no limit.
    """

    def __init__(
        self, storage: Storage, clock: Clock, secret: StorageSecret, per_account: int, per_address: int
    ) -> None:
        self._storage = storage
        self._clock = clock
        self._secret = secret
        self._per_account = per_account
        self._per_address = per_address
        self._retry = OptimisticRetry()

    async def attempt(self, account: str, address: str | None, home: str | None) -> ThrottledAttempt:
        """Return an attempt at an account; call `read` on it first.

        Args:
            account: The name as the caller gave it. Two names of one user are counted separately.
            home: The counter for attempts from a network where the account is signed in.
        """
        networks = [] if address is None else networks_of(address)
        counters = [_Counter(_Scope.ACCOUNT, await self._secret.digest("account", account), self._per_account)]
        if home is not None:
            counters.append(_Counter(_Scope.HOME, await self._secret.digest("home", account, home), self._per_account))
        for network, factor in zip(networks, (1, _SITE_FACTOR), strict=False):
            key = await self._secret.digest("address", network)
            counters.append(_Counter(_Scope.NETWORK, key, factor * self._per_address))
        limited = [counter for counter in counters if counter.limit]
        return ThrottledAttempt(self._storage, self._clock, self._retry, limited)

    async def location_digest(self, account: str, address: str | None) -> str | None:
        """Return a digest of the account and its network, which a session stores instead of an address."""
        return None if address is None else await self._secret.digest("place", account, network_of(address))
