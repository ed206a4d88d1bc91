"""Counts of failed sign-ins and requested mails, which limit how many there can be."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import ClassVar, Final, Self

from domain.records import RecordType
from domain.values import truncate_to_milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInFailures:
    """The times of recent failed sign-ins, or of requested mails, of one account or address.

    `key` is a digest of the account or address: 64 hexadecimal digits. An expired record has no effect. For one key,
    every method takes the same window.
    """

    WINDOW: ClassVar = timedelta(minutes=1)

    key: str
    moments: tuple[datetime, ...]
    version: int
    expires_at: datetime

    @classmethod
    def first(cls, key: str, now: datetime, window: timedelta = WINDOW) -> Self:
        """Return the first state, with one failure."""
        now = truncate_to_milliseconds(now)
        return cls(key=key, moments=(now,), version=1, expires_at=now + window)

    def blocked_until(self, limit: int, now: datetime, window: timedelta = WINDOW) -> datetime | None:
        """Return when the next attempt is allowed, or None if it is allowed now.

        Attempts are blocked after `limit` failures within the window. Blocked attempts are not counted, so they do not
        prolong the block.
        """
        recent = self._recent(now, window)
        return recent[-limit] + window if len(recent) >= limit else None

    def add_failure(self, now: datetime, limit: int, window: timedelta = WINDOW) -> Self:
        """Return the next state, with another failure. Only the latest `limit` are kept."""
        now = truncate_to_milliseconds(now)
        moments = (*self._recent(now, window), now)[-limit:]
        return replace(self, moments=moments, version=self.version + 1, expires_at=now + window)

    def cleared(self, now: datetime) -> Self:
        """Return the next state, without failures, as after a successful sign-in."""
        now = truncate_to_milliseconds(now)
        return replace(self, moments=(), version=self.version + 1, expires_at=now + self.WINDOW)

    def _recent(self, now: datetime, window: timedelta) -> tuple[datetime, ...]:
        # The window extends equally into the future: a clock that is set back must not prolong a block.
        return tuple(moment for moment in self.moments if abs(now - moment) < window)


SIGN_IN_FAILURES: Final = RecordType("sign_in_failures", SignInFailures, key="key", due="expires_at")
