"""The users that every app is filled with, always the same. Needs only the standard library."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

_NAMES: Final = ("Ann Lee", "Zoë Ünsal", "Łukasz Żak", "Σοφία Ψ", "Иван Ёлкин", "山田太郎")
_BEGINNING: Final = datetime(2026, 1, 1, tzinfo=UTC)


class SampleUser(NamedTuple):
    id: str
    email: str
    name: str
    username: str
    bio: str
    role: str
    active: bool
    made: datetime


def sample_users(count: int) -> Iterator[SampleUser]:
    """Yield users in the order of their ids."""
    chance = random.Random(1)
    for number in range(count):
        made = _BEGINNING + timedelta(seconds=number)
        yield SampleUser(
            id=_id(made, chance),
            email=f"user.{number}@example.org",
            name=f"{chance.choice(_NAMES)} {number}",
            username=f"user_{number}",
            bio=f"Likes tea, and answers to {number}.",
            role="member",
            active=True,
            made=made,
        )


def _id(made: datetime, chance: random.Random) -> str:
    """Return a UUIDv7 (RFC 9562, section 5.7)."""
    milliseconds = int(made.timestamp() * 1000)
    return str(UUID(int=milliseconds << 80 | 7 << 76 | chance.getrandbits(12) << 64 | 2 << 62 | chance.getrandbits(62)))
