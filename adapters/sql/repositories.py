from collections.abc import Collection, Sequence
from typing import Any, Final

from sqlalchemy import Row, bindparam, func, literal, select

from adapters.sql.database import Database
from adapters.sql.lookups import Lookups
from adapters.sql.pages import Pages
from adapters.sql.rows import (
    POST_COLUMNS,
    USER_COLUMNS,
    post_from_row,
    post_values,
    user_from_row,
    user_values,
)
from adapters.sql.searches import Searches
from adapters.sql.staged_writes import StagedWrites
from adapters.sql.tables import CREDENTIALS, POSTS, USERS
from domain.credential import Credential
from domain.post import Post
from domain.user import Role, User
from domain.values import Email, PostId, SearchPrefix, UserId, Username

# The role is written out in the statement, or a database could not tell that an index of the admins alone serves it.
_IS_ACTIVE_ADMIN: Final = (USERS.c.role == literal(Role.ADMIN.value, literal_execute=True), USERS.c.active)

_ALL_USERS: Final = select(func.count()).select_from(USERS)
_USERS: Final = Pages(select(*USER_COLUMNS), USERS.c.id)
_ACTIVE_ADMINS: Final = Pages(select(*USER_COLUMNS).where(*_IS_ACTIVE_ADMIN), USERS.c.id)
_POSTS: Final = Pages(select(*POST_COLUMNS).where(POSTS.c.author_id == bindparam("author_id")), POSTS.c.id)


class SqlUserRepository:
    def __init__(self, database: Database, lookups: Lookups, staged: StagedWrites) -> None:
        self._database = database
        self._lookups = lookups
        self._staged = staged
        self._searches = Searches(database)
        self._read: dict[UserId, User] = {}

    async def get(self, user_id: UserId) -> User | None:
        user = _user(await self._lookups.users.row(user_id))
        if user is not None:
            self._read[user_id] = user
        return user

    async def find_by_email(self, email: Email) -> User | None:
        return _user(await self._lookups.users_by_email.row(email.canonical))

    async def find_by_emails(self, emails: Collection[Email]) -> Sequence[User]:
        return _users(await self._lookups.users_by_email.rows({email.canonical for email in emails}))

    async def find_by_username(self, username: Username) -> User | None:
        return _user(await self._lookups.users_by_username.row(username.canonical))

    async def page(
        self, *, after: UserId | None = None, limit: int, descending: bool = False, skip: int = 0
    ) -> Sequence[User]:
        return _users(await _USERS.rows(self._database, after=after, limit=limit, descending=descending, skip=skip))

    async def search(self, prefix: SearchPrefix, *, limit: int, descending: bool = False) -> Sequence[User]:
        return _users(await self._searches.rows(prefix, limit=limit, descending=descending))

    async def count(self, prefix: SearchPrefix | None = None) -> int:
        if prefix is not None:
            return await self._searches.count(prefix)
        return int((await self._database.rows(_ALL_USERS))[0][0])

    async def active_admins(self, *, limit: int) -> Sequence[User]:
        return _users(await _ACTIVE_ADMINS.rows(self._database, limit=limit))

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
    def __init__(self, database: Database, lookups: Lookups, staged: StagedWrites) -> None:
        self._database = database
        self._lookups = lookups
        self._staged = staged

    async def get(self, post_id: PostId) -> Post | None:
        row = await self._lookups.posts.row(post_id)
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
        rows = await _POSTS.rows(
            self._database, after=after, limit=limit, descending=descending, skip=skip, author_id=author_id
        )
        return [post_from_row(row) for row in rows]

    async def count(self, author_id: UserId) -> int:
        statement = select(func.count()).select_from(POSTS).where(POSTS.c.author_id == author_id)
        return int((await self._database.rows(statement))[0][0])

    def add(self, post: Post) -> None:
        self._staged.add(POSTS, post_values(post))

    def save(self, post: Post) -> None:
        self._staged.save(POSTS, post_values(post))

    def remove(self, post: Post) -> None:
        self._staged.remove(POSTS, post.id, post.version)


class SqlCredentialRepository:
    def __init__(self, database: Database, lookups: Lookups, staged: StagedWrites) -> None:
        self._database = database
        self._lookups = lookups
        self._staged = staged

    async def get(self, user_id: UserId) -> Credential | None:
        row = await self._lookups.credentials.row(user_id)
        return None if row is None else Credential(user_id, row.password_hash)

    def put(self, credential: Credential) -> None:
        values = {"user_id": credential.user_id, "password_hash": credential.password_hash}
        statement = self._database.dialect.upsert(CREDENTIALS, CREDENTIALS.c.user_id, values)
        self._staged.put(CREDENTIALS, credential.user_id, statement)

    def require(self, credential: Credential) -> None:
        self._staged.require(CREDENTIALS.c.password_hash, credential.user_id, credential.password_hash)


def _users(rows: Sequence[Row[Any]]) -> Sequence[User]:
    return [user_from_row(row) for row in rows]


def _user(row: Row[Any] | None) -> User | None:
    return None if row is None else user_from_row(row)
