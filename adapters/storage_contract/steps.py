"""What the cases do over and over: commits of one kind of write, and a look at everything that is stored."""

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import TypeAlias

from domain.credential import Credential
from domain.post import Post
from domain.session import Session
from domain.sign_in_failures import SignInFailures
from domain.storage import Storage, UnitOfWork
from domain.user import User
from domain.values import Email, UserId, Username

Versioned: TypeAlias = User | Post | Session | SignInFailures
Record: TypeAlias = Versioned | Credential


def stage_add(unit: UnitOfWork, *records: Record) -> None:
    for record in records:
        match record:
            case User():
                unit.users.add(record)
            case Post():
                unit.posts.add(record)
            case Credential():
                unit.credentials.put(record)
            case Session():
                unit.sessions.add(record)
            case SignInFailures():
                unit.sign_in_failures.add(record)


def stage_save(unit: UnitOfWork, *records: Versioned) -> None:
    for record in records:
        match record:
            case User():
                unit.users.save(record)
            case Post():
                unit.posts.save(record)
            case Session():
                unit.sessions.save(record)
            case SignInFailures():
                unit.sign_in_failures.save(record)


def stage_remove(unit: UnitOfWork, *records: Versioned) -> None:
    for record in records:
        match record:
            case User():
                unit.users.remove(record)
            case Post():
                unit.posts.remove(record)
            case Session():
                unit.sessions.remove(record)
            case SignInFailures():
                unit.sign_in_failures.remove(record)


async def add(storage: Storage, *records: Record) -> None:
    unit = storage.unit_of_work()
    stage_add(unit, *records)
    await unit.commit()


async def save(storage: Storage, *records: Versioned) -> None:
    unit = storage.unit_of_work()
    stage_save(unit, *records)
    await unit.commit()


async def remove(storage: Storage, *records: Versioned) -> None:
    unit = storage.unit_of_work()
    stage_remove(unit, *records)
    await unit.commit()


async def stored_user(storage: Storage, user: User) -> User | None:
    return await storage.unit_of_work().users.get(user.id)


async def stored_post(storage: Storage, post: Post) -> Post | None:
    return await storage.unit_of_work().posts.get(post.id)


async def stored_credential(storage: Storage, user: User) -> Credential | None:
    return await storage.unit_of_work().credentials.get(user.id)


async def stored_session(storage: Storage, session: Session) -> Session | None:
    return await storage.unit_of_work().sessions.get(session.id)


async def stored_failures(storage: Storage, failures: SignInFailures) -> SignInFailures | None:
    return await storage.unit_of_work().sign_in_failures.get(failures.key)


@dataclass(frozen=True, slots=True)
class Everything:
    users: Sequence[User]
    posts: Sequence[Post]
    credentials: Sequence[Credential]
    sessions: Sequence[Session]


async def everything(storage: Storage) -> Everything:
    """Read all that is stored of all users, to tell whether something has changed."""
    unit = storage.unit_of_work()
    users = await unit.users.page(limit=1_000)
    posts = [post for user in users for post in await unit.posts.page(user.id, limit=1_000)]
    credentials = [await unit.credentials.get(user.id) for user in users]
    sessions = [session for user in users for session in await unit.sessions.of_user(user.id)]
    return Everything(list(users), posts, [credential for credential in credentials if credential], sessions)


async def outcomes(attempts: Sequence[Awaitable[None]]) -> Sequence[type[BaseException] | None]:
    """Run all at once and tell how each one ended: None for success, else the exact type of the error."""
    results = await asyncio.gather(*attempts, return_exceptions=True)
    return [None if result is None else type(result) for result in results]


def assert_same(found: object, given: object) -> None:
    """Hold that a record came back as it was, each value of the very type that it had.

    Equality alone would not do: 1 equals True, "admin" equals Role.ADMIN, and a time equals itself elsewhere.
    """
    assert found == given
    assert type(found) is type(given)
    if isinstance(given, User | Post | Credential | Session | SignInFailures | Email | Username):
        for field in fields(given):
            assert_same(getattr(found, field.name), getattr(given, field.name))
    if isinstance(given, tuple):
        assert isinstance(found, tuple)
        for found_item, given_item in zip(found, given, strict=True):
            assert_same(found_item, given_item)
    if isinstance(given, datetime):
        assert isinstance(found, datetime)
        assert found.tzinfo is UTC
        assert found.isoformat() == given.isoformat()


def ids_of(users: Sequence[User]) -> list[UserId]:
    return [user.id for user in users]
