"""Reading everything that a storage holds."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import Final, TypeAlias

from domain.credential import Credential
from domain.post import Post
from domain.session import Session
from domain.storage import Storage, UnitOfWork
from domain.user import User

Record: TypeAlias = User | Credential | Session | Post

_USERS_AT_ONCE: Final = 100
_POSTS_AT_ONCE: Final = 20  # of each of those users; 80 MB if all are as long as a post may be
_READS_AT_ONCE: Final = 8  # fewer than a storage has connections, so that none waits for another


async def all_records(storage: Storage) -> AsyncGenerator[Record, None]:
    """Go through all users by id; each is followed by their credential, their sessions by id, and their posts by id.

    It takes bounded memory, and reads ahead while the caller is busy. Raises what the storage port raises.
    """
    async with aclosing(_read_ahead(_batches(storage))) as batches:
        async for batch in batches:
            for record in batch:
                yield record


async def _batches(storage: Storage) -> AsyncIterator[Sequence[Record]]:
    unit = storage.unit_of_work()
    turn = asyncio.Semaphore(_READS_AT_ONCE)
    users = await unit.users.page(limit=_USERS_AT_ONCE)
    while users:
        beginnings = (_beginning(unit, user, turn) for user in users)
        for records in await asyncio.gather(*beginnings, return_exceptions=True):
            if isinstance(records, BaseException):
                raise records
            yield records
            match records[-_POSTS_AT_ONCE:]:
                case [Post(), *_, Post() as last]:  # as many as one read brings
                    async for posts in _posts_behind(unit, last):
                        yield posts
        users = await unit.users.page(after=users[-1].id, limit=_USERS_AT_ONCE)


async def _beginning(unit: UnitOfWork, user: User, turn: asyncio.Semaphore) -> Sequence[Record]:
    async with turn:
        credential = await unit.credentials.get(user.id)
        sessions = await unit.sessions.of_user(user.id)
        posts = await unit.posts.page(user.id, limit=_POSTS_AT_ONCE)
    return [user, *([credential] if credential else []), *sessions, *posts]


async def _posts_behind(unit: UnitOfWork, last: Post) -> AsyncIterator[Sequence[Post]]:
    while posts := await unit.posts.page(last.author_id, after=last.id, limit=_POSTS_AT_ONCE * _READS_AT_ONCE):
        yield posts
        last = posts[-1]


async def _read_ahead(batches: AsyncIterator[Sequence[Record]]) -> AsyncGenerator[Sequence[Record], None]:
    following = asyncio.ensure_future(anext(batches, None))
    try:
        while (batch := await following) is not None:
            following = asyncio.ensure_future(anext(batches, None))
            yield batch
    finally:
        following.cancel()
        await asyncio.wait([following])
