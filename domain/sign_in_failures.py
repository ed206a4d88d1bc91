"""Counting failed sign-ins and requested mails, so that neither can be repeated without end."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import ClassVar, Final, Self

from domain.records import RecordType
from domain.values import cut_to_milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInFailures:
    """When sign-ins failed, or mails were requested, lately at one account or from one address.

    `key` is a digest of whose they are: 64 hexadecimal digits. Once it has expired, it says nothing any more. Each
    method takes the same window for the same key.
    """

    WINDOW: ClassVar = timedelta(minutes=1)

    key: str
    moments: tuple[datetime, ...]
    version: int
    expires_at: datetime

    @classmethod
    def first(cls, key: str, now: datetime, window: timedelta = WINDOW) -> Self:
        """Make the first state, with one failure."""
        now = cut_to_milliseconds(now)
        return cls(key=key, moments=(now,), version=1, expires_at=now + window)

    def blocked_until(self, most: int, now: datetime, window: timedelta = WINDOW) -> datetime | None:
        """Tell when the next attempt is allowed if it is not now, because of `most` failures within the window.

        Attempts in between are not counted, so nobody can prolong this.
        """
        recent = self._recent(now, window)
        return recent[-most] + window if len(recent) >= most else None

    def one_more(self, now: datetime, most: int, window: timedelta = WINDOW) -> Self:
        """Make the next state, with another failure; no more than the latest `most` are kept."""
        now = cut_to_milliseconds(now)
        moments = (*self._recent(now, window), now)[-most:]
        return replace(self, moments=moments, version=self.version + 1, expires_at=now + window)

    def forgotten(self, now: datetime) -> Self:
        """Make the next state, without failures, as after a sign-in that went well."""
        now = cut_to_milliseconds(now)
        return replace(self, moments=(), version=self.version + 1, expires_at=now + self.WINDOW)

    def _recent(self, now: datetime, window: timedelta) -> tuple[datetime, ...]:
        # As far in the future as in the past, and no farther: a clock that is put back must not prolong a block.
        return tuple(moment for moment in self.moments if abs(now - moment) < window)


SIGN_IN_FAILURES: Final = RecordType("sign_in_failures", SignInFailures, key="key", due="expires_at")
