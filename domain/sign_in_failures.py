"""Counting failed sign-ins, so that nobody can try one password after another."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import ClassVar, Final, Self

from domain.records import RecordType
from domain.values import truncate_to_milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInFailures:
    """When sign-ins failed lately at one account or from one address; versioned like a `User`.

    `key` is a digest of whose failures they are: 64 hexadecimal digits. Once it has expired, it says nothing any more.
    """

    WINDOW: ClassVar = timedelta(minutes=1)

    key: str
    moments: tuple[datetime, ...]
    version: int
    expires_at: datetime

    @classmethod
    def first(cls, key: str, now: datetime) -> Self:
        """Make the first state, with one failure."""
        now = truncate_to_milliseconds(now)
        return cls(key=key, moments=(now,), version=1, expires_at=now + cls.WINDOW)

    def blocked_until(self, most: int, now: datetime) -> datetime | None:
        """Tell when the next attempt is allowed if it is not now, because of `most` failures within the window.

        Attempts in between are not counted, so nobody can prolong this.
        """
        recent = self._recent(now)
        return recent[-most] + self.WINDOW if len(recent) >= most else None

    def one_more(self, now: datetime, most: int) -> Self:
        """Make the next state, with another failure; no more than the latest `most` are kept."""
        now = truncate_to_milliseconds(now)
        moments = (*self._recent(now), now)[-most:]
        return replace(self, moments=moments, version=self.version + 1, expires_at=now + self.WINDOW)

    def forgotten(self, now: datetime) -> Self:
        """Make the next state, without failures, as after a sign-in that went well."""
        now = truncate_to_milliseconds(now)
        return replace(self, moments=(), version=self.version + 1, expires_at=now + self.WINDOW)

    def _recent(self, now: datetime) -> tuple[datetime, ...]:
        # As far in the future as in the past, and no farther: a clock that is put back must not prolong a block.
        return tuple(moment for moment in self.moments if abs(now - moment) < self.WINDOW)


SIGN_IN_FAILURES: Final = RecordType("sign_in_failures", SignInFailures, key="key", due="expires_at")
