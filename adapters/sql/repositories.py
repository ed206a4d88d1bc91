from collections.abc import Collection, Sequence
from typing import Final

from sqlalchemy import func, select

from adapters.sql.driver_statements import Row
from adapters.sql.reads import Reads
from adapters.sql.rows import (
    credential_from_row,
    post_from_row,
    post_values,
    user_from_row,
    user_values,
)
from adapters.sql.staged_writes import StagedWrites
from adapters.sql.tables import CREDENTIALS, POSTS, USERS
from domain.credential import Credential
from domain.post import Post
from domain.user import User
from domain.values import Email, PostId, SearchPrefix, UserId, Username

_ALL_USERS: Final = select(func.count()).select_from(USERS)


class SqlUserRepository:
    def __init__(self, reads: Reads, staged: StagedWrites) -> None:
        self._reads = reads
        self._staged = staged
        self._read: dict[UserId, User] = {}

    async def get(self, user_id: UserId) -> User | None:
        user = _user(await self._reads.user_by_id.row(user_id))
        if user is not None:
            self._read[user_id] = user
        return user

    async def find_by_email(self, email: Email) -> User | None:
        return _user(await self._reads.user_by_email.row(email.canonical))

    async def find_by_emails(self, emails: Collection[Email]) -> Sequence[User]:
        return _users(await self._reads.user_by_email.rows({email.canonical for email in emails}))

    async def find_by_username(self, username: Username) -> User | None:
        return _user(await self._reads.user_by_username.row(username.canonical))

    async def page(
        self, *, after: UserId | None = None, limit: int, descending: bool = False, skip: int = 0
    ) -> Sequence[User]:
        return await self._reads.users.page(after=after, limit=limit, descending=descending, skip=skip)

    async def search(self, prefix: SearchPrefix, *, limit: int, descending: bool = False) -> Sequence[User]:
        return _users(await self._reads.searches.rows(prefix, limit=limit, descending=descending))

    async def count(self, prefix: SearchPrefix | None = None) -> int:
        if prefix is not None:
            return await self._reads.searches.count(prefix)
        return int((await self._reads.database.rows(_ALL_USERS))[0][0])

    async def active_admins(self, *, limit: int) -> Sequence[User]:
        return await self._reads.active_admins.page(limit=limit)

    def add(self, user: User) -> None:
        self._staged.add(USERS, user_values(user))

    def save(self, user: User) -> None:
        before = self._read.get(user.id)
        # Only what changes is written, since writing a column anew costs as much in each index that it has.
        known = user_values(before) if before is not None and before.version == user.version - 1 else None
        self._staged.save(USERS, user_values(user), known)

    def remove(self, user: User) -> None:
        self._staged.remove(USERS, user.id, user.version)  # the foreign keys take the rest along

    def require(self, user: User) -> None:
        self._staged.require(USERS.c.version, user.id, user.version)


class SqlPostRepository:
    def __init__(self, reads: Reads, staged: StagedWrites) -> None:
        self._reads = reads
        self._staged = staged

    async def get(self, post_id: PostId) -> Post | None:
        row = await self._reads.post_by_id.row(post_id)
        return None if row is None else post_from_row(row)

    async def page(
        self,
        author_id: UserId,
        *,
        after: PostId | None = None,
        limit: int,
        descending: bool = False,
        skip: int = 0,
    ) -> Sequence[Post]:
        return await self._reads.posts.page(owner=author_id, after=after, limit=limit, descending=descending, skip=skip)

    async def count(self, author_id: UserId) -> int:
        statement = select(func.count()).select_from(POSTS).where(POSTS.c.author_id == author_id)
        return int((await self._reads.database.rows(statement))[0][0])

    def add(self, post: Post) -> None:
        self._staged.add(POSTS, post_values(post))

    def save(self, post: Post) -> None:
        self._staged.save(POSTS, post_values(post))

    def remove(self, post: Post) -> None:
        self._staged.remove(POSTS, post.id, post.version)


class SqlCredentialRepository:
    def __init__(self, reads: Reads, staged: StagedWrites) -> None:
        self._reads = reads
        self._staged = staged

    async def get(self, user_id: UserId) -> Credential | None:
        row = await self._reads.credential_by_user.row(user_id)
        return None if row is None else credential_from_row(row)

    def put(self, credential: Credential) -> None:
        values = {"user_id": credential.user_id, "password_hash": credential.password_hash}
        statement = self._reads.database.dialect.upsert(CREDENTIALS, CREDENTIALS.c.user_id, values)
        self._staged.put(CREDENTIALS, credential.user_id, statement)

    def require(self, credential: Credential) -> None:
        self._staged.require(CREDENTIALS.c.password_hash, credential.user_id, credential.password_hash)


def _users(rows: Sequence[Row]) -> Sequence[User]:
    return [user_from_row(row) for row in rows]


def _user(row: Row | None) -> User | None:
    return None if row is None else user_from_row(row)
