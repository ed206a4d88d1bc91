"""Limit how many mails can be requested."""

import asyncio
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from application.networks import networks_of
from application.ports import Clock
from application.storage_secret import StorageSecret
from domain.errors import TooManyMailRequests
from domain.sign_in_failures import SIGN_IN_FAILURES, SignInFailures
from domain.storage import UnitOfWork
from domain.values import Email

_WINDOW: Final = timedelta(hours=1)
_SITE_FACTOR: Final = 5
"""An IPv6 /48 may make this many times the requests of an address; it contains 65,536 networks that count as one."""


@dataclass(frozen=True, slots=True)
class _Counter:
    key: str
    limit: int


class MailRequest:
    """One request for mail, counted in the commit that stages the mail, so parallel requests cannot exceed a limit."""

    def __init__(self, clock: Clock, counters: Sequence[_Counter]) -> None:
        self._clock = clock
        self._counters = counters

    async def stage(self, unit: UnitOfWork) -> None:
        """Count the request. Raise `TooManyMailRequests` when it must wait.

        Concurrent requests make the commit raise `IdTaken` or `StaleVersion`.
        """
        records = unit.records(SIGN_IN_FAILURES)
        stored = await asyncio.gather(*(records.get(counter.key) for counter in self._counters))
        now = self._clock.now()
        found = list(zip(self._counters, stored, strict=True))
        ends = [one.blocked_until(counter.limit, now, _WINDOW) for counter, one in found if one is not None]
        if waits := [math.ceil((end - now).total_seconds()) for end in ends if end]:
            raise TooManyMailRequests(max(waits))
        for counter, one in found:
            if one is None:
                records.add(SignInFailures.first(counter.key, now, _WINDOW))
            else:
                records.save(one.add_failure(now, counter.limit, _WINDOW))


class MailThrottle:
    """Limits the mail requests for one address, known or not, and of one client, within an hour.

    A limit of 0 means no limit.
    """

    def __init__(self, clock: Clock, secret: StorageSecret, per_account: int, per_address: int) -> None:
        self._clock = clock
        self._secret = secret
        self._per_account = per_account
        self._per_address = per_address

    async def request(self, recipients: Collection[Email], client_address: str | None) -> MailRequest:
        """Return a request for mail to some addresses."""
        accounts = dict.fromkeys(email.canonical for email in recipients)
        networks = [] if client_address is None else networks_of(client_address)
        counters = [_Counter(await self._secret.digest("mail", each), self._per_account) for each in accounts]
        for network, factor in zip(networks, (1, _SITE_FACTOR), strict=False):
            counters.append(_Counter(await self._secret.digest("mails from", network), factor * self._per_address))
        return MailRequest(self._clock, [counter for counter in counters if counter.limit])
