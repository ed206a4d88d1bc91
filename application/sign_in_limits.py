"""How often somebody may guess a password."""

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Final, TypeAlias

from application.concurrency import OptimisticRetry
from application.networks import network_of
from application.ports import Clock
from domain.errors import IdTaken, StaleVersion, StorageUnavailable, TooBusy, TooManyFailures
from domain.sign_in_failures import SIGN_IN_FAILURES, SignInFailures
from domain.storage import Storage, UnitOfWork

_PURGED_AT_ONCE: Final = 50
_MOST_PURGES: Final = 20
_BETWEEN_PURGES: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class _Counter:
    key: str
    most: int
    blocks: bool = True
    """Whether too many failures refuse this attempt; else it only counts as one of them if it fails."""
    forgives: bool = True
    """Whether an attempt that succeeds makes the failures before it forgotten."""


Attempt: TypeAlias = Sequence[_Counter]
"""One attempt at a password: the counters that it is judged by, and counted in."""


class SignInLimits:
    """Refuses attempts at an account, or from an address, after too many failures there within a minute.

    The counters are records of the storage, so all processes share them. An attempt that is refused is not counted,
    so a block ends by itself; and whoever keeps guessing does not keep the owner out: where the owner is signed in
    already, at home, failures from elsewhere block nobody. A limit of 0 is none.
    """

    def __init__(self, storage: Storage, clock: Clock, per_account: int, per_address: int) -> None:
        self._storage = storage
        self._clock = clock
        self._per_account = per_account
        self._per_address = per_address
        self._retry = OptimisticRetry()
        self._next_purge = clock.now()

    def attempt(self, account: str, address: str | None, home: str | None = None) -> Attempt:
        """Describe an attempt at an account; where it is at home, the failures there alone can refuse it."""
        away = home is None
        counters = [_Counter(_digest("account", account), self._per_account, blocks=away, forgives=away)]
        if home is not None:
            counters.append(_Counter(_digest("home", account, home), self._per_account))
        if address is not None:
            counters.append(_Counter(_digest("address", network_of(address)), self._per_address, forgives=False))
        return [counter for counter in counters if counter.most]

    async def check(self, attempt: Attempt) -> None:
        """Raise `TooManyFailures` when the attempt has to wait."""
        await self._judge(self._storage.unit_of_work(), attempt)

    async def count(self, attempt: Attempt) -> None:
        """Count a failure, durably; raises `TooManyFailures` when there were too many others meanwhile."""

        async def count_one() -> None:
            unit = self._storage.unit_of_work()
            now = self._clock.now()
            for counter, stored in await self._judge(unit, attempt):
                if stored is None:
                    unit.records(SIGN_IN_FAILURES).add(SignInFailures.first(counter.key, now))
                else:
                    unit.records(SIGN_IN_FAILURES).save(stored.one_more(now, counter.most))
            try:
                await unit.commit()
            except IdTaken:  # somebody else counted the first one
                raise StaleVersion from None

        if attempt:
            await self._retry.run(attempt[-1].key, count_one)
            await self._purge()

    async def stage_success(self, unit: UnitOfWork, attempt: Attempt) -> None:
        """Have the unit's commit forget the account's failures; raises `TooManyFailures` as `check` does."""
        for counter, stored in await self._judge(unit, attempt):
            if counter.forgives and stored is not None and stored.moments:
                unit.records(SIGN_IN_FAILURES).save(stored.forgotten(self._clock.now()))

    async def _judge(self, unit: UnitOfWork, attempt: Attempt) -> Sequence[tuple[_Counter, SignInFailures | None]]:
        now = self._clock.now()
        found = [(counter, await unit.records(SIGN_IN_FAILURES).get(counter.key)) for counter in attempt]
        ends = [failures.blocked_until(counter.most, now) for counter, failures in found if failures and counter.blocks]
        if waits := [math.ceil((end - now).total_seconds()) for end in ends if end]:
            raise TooManyFailures(max(waits))
        return found

    async def _purge(self) -> None:
        """Remove some of what has expired, once a minute: there is no end of addresses, and of names of nobody."""
        now = self._clock.now()
        if now < self._next_purge:
            return
        self._next_purge = now + _BETWEEN_PURGES
        # Another process may be at it; and whoever waits for an answer has not asked for this.
        with suppress(StaleVersion, TooBusy, StorageUnavailable):
            for _ in range(_MOST_PURGES):
                unit = self._storage.unit_of_work()
                expired = await unit.records(SIGN_IN_FAILURES).due(now, limit=_PURGED_AT_ONCE)
                for failures in expired:
                    unit.records(SIGN_IN_FAILURES).remove(failures)
                await unit.commit()
                if len(expired) < _PURGED_AT_ONCE:
                    return


def place_of(account: str, address: str | None) -> str | None:
    """Make what a session remembers of where an account signed in from, which is no address in the clear."""
    return None if address is None else _digest("place", account, network_of(address))


def _digest(*parts: str) -> str:
    return sha256("\0".join(parts).encode()).hexdigest()
