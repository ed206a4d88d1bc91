"""Fill a storage with varied users, posts, credentials and sessions, the same for the same seed.

python -m benchmarks.fill_storage --storage sqlite:///big.db --users 50000 --posts 100000
"""

import argparse
import asyncio
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from application.transfer.all_records import Stored, record_type_of
from domain.credential import Credential
from domain.post import Post
from domain.session import Session
from domain.user import Role, User
from domain.values import Bio, Body, Email, Name, PostId, SessionId, Title, UserId, Username
from entrypoints.storage_by_url import open_storage

_SCRIPTS: Final = (
    "Ann Lee",
    "Zoë Ünsal",
    "Łukasz Żak",
    "Σοφία Ψ",
    "Иван Ёлкин",
    "محمد",
    "山田太郎",
    "김민준",
    "👩‍🚀 Ada",
)
_BEGINNING: Final = datetime(2026, 1, 1, tzinfo=UTC)
_IN_A_COMMIT: Final = 500


def records(users: int, posts: int, seed: int) -> Iterator[Stored]:
    """Yield users, each followed by their records.

    One in five has a credential, and of these two in three have sessions; most have a few posts, some have hundreds.
    """
    chance = random.Random(seed)
    shares = sorted(
        chance.randrange(users) if chance.random() < 0.95 else chance.randrange(0, users, 997 + users // 50)
        for _ in range(posts)
    )
    place = 0
    for number in range(users):
        made = _BEGINNING + timedelta(seconds=number, milliseconds=chance.randrange(1000))
        user_id = UserId(_id(made, chance))
        yield _user(user_id, number, made, chance)
        if chance.random() < 0.2:
            yield Credential(user_id, f"$argon2id$v=19$m=19456,t=2,p=1$c2FsdA${chance.getrandbits(128):032x}")
            for sign_in in range(number % 3):
                yield _session(user_id, number, made + timedelta(hours=sign_in), chance)
        while place < posts and shares[place] == number:
            place += 1
            yield _post(user_id, place, made + timedelta(milliseconds=place), chance)


def _user(user_id: UserId, number: int, made: datetime, chance: random.Random) -> User:
    address = f"User.{number}@example.org"
    username = f"User_{number}"
    return User(
        id=user_id,
        email=Email(address, address.lower()),
        name=Name(f"{chance.choice(_SCRIPTS)} {number}"),
        username=Username(username, username.lower()) if chance.random() < 0.5 else None,
        bio=chance.choice((None, Bio(""), Bio(f"Born in {number}.\n\tLives."))),
        role=Role.ADMIN if number % 1_000 == 0 else Role.MEMBER,
        active=chance.random() < 0.9,
        email_verified=number % 10 != 0,
        version=chance.randrange(1, 50),
        created_at=made,
        updated_at=made + timedelta(milliseconds=chance.randrange(10**9)),
    )


def _session(user_id: UserId, number: int, made: datetime, chance: random.Random) -> Session:
    used = made + timedelta(milliseconds=chance.randrange(10**9))
    return Session(
        id=SessionId(_id(made, chance)),
        user_id=user_id,
        user_agent=chance.choice((None, f"Mozilla/5.0 ({chance.choice(_SCRIPTS)} {number})")),
        place=chance.choice((None, f"{chance.getrandbits(256):064x}")),
        token_digest=f"{chance.getrandbits(256):064x}",
        salt=f"{chance.getrandbits(256):064x}",
        refreshed_at=tuple(used + timedelta(milliseconds=step) for step in range(chance.randrange(5))),
        version=chance.randrange(1, 50),
        created_at=made,
        last_used_at=used + timedelta(seconds=1),
        expires_at=used + Session.IDLE_TIMEOUT,
    )


def _post(author_id: UserId, number: int, made: datetime, chance: random.Random) -> Post:
    return Post(
        id=PostId(_id(made, chance)),
        author_id=author_id,
        title=Title(f"Title {number} {chance.choice(_SCRIPTS)}"),
        body=Body(f"Body {number}.\n" * chance.randrange(1, 20)),
        version=chance.randrange(1, 9),
        created_at=made,
        updated_at=made + timedelta(milliseconds=chance.randrange(10**9)),
    )


def _id(made: datetime, chance: random.Random) -> str:
    """Return a UUIDv7 (RFC 9562, section 5.7)."""
    milliseconds = int(made.timestamp() * 1000)
    return str(UUID(int=milliseconds << 80 | 7 << 76 | chance.getrandbits(12) << 64 | 2 << 62 | chance.getrandbits(62)))


async def fill(url: str, users: int, posts: int, seed: int = 1) -> None:
    """Prepare a storage and add records to it."""
    storage = open_storage(url)
    await storage.prepare()
    unit = storage.unit_of_work()
    for number, record in enumerate(records(users, posts, seed), start=1):
        if isinstance(record, User):
            unit.users.add(record)
        else:
            unit.records(record_type_of(record)).add(record)
        if number % _IN_A_COMMIT == 0:
            await unit.commit()
    await unit.commit()
    await storage.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Fill a storage with users, posts, credentials and sessions.")
    parser.add_argument("--storage", required=True)
    parser.add_argument("--users", type=int, default=50_000)
    parser.add_argument("--posts", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    asyncio.run(fill(given.storage, given.users, given.posts, given.seed))
