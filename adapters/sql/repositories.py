from collections.abc import Collection, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, Table, func, literal, select, union

from adapters.sql.database import Database
from adapters.sql.rows import (
    POST_COLUMNS,
    USER_COLUMNS,
    post_from_row,
    post_values,
    user_from_row,
    user_values,
)
from adapters.sql.staged_writes import StagedWrites
from adapters.sql.tables import CREDENTIALS, POSTS, USERS
from adapters.text_range import successor
from domain.credential import Credential
from domain.post import Post
from domain.user import Role, User
from domain.values import Email, PostId, SearchPrefix, UserId, Username

_SEARCHED: Final = (USERS.c.name_key, USERS.c.email_key, USERS.c.username_key)
# The role is written out in the statement, or a database could not tell that an index of the admins alone serves it.
_ACTIVE_ADMIN: Final = (USERS.c.role == literal(Role.ADMIN.value, literal_execute=True), USERS.c.active)


class SqlUserRepository:
    def __init__(self, database: Database, staged: StagedWrites) -> None:
        self._database = database
        self._staged = staged

    async def get(self, user_id: UserId) -> User | None:
        return await self._one(select(*USER_COLUMNS).where(USERS.c.id == user_id))

    async def find_by_email(self, email: Email) -> User | None:
        return await self._one(select(*USER_COLUMNS).where(USERS.c.email_key == email.canonical))

    async def find_by_emails(self, emails: Collection[Email]) -> Sequence[User]:
        keys = {email.canonical for email in emails}
        return await self._all(select(*USER_COLUMNS).where(USERS.c.email_key.in_(keys)))

    async def find_by_username(self, username: Username) -> User | None:
        return await self._one(select(*USER_COLUMNS).where(USERS.c.username_key == username.canonical))

    async def page(
        self, *, after: UserId | None = None, limit: int, descending: bool = False, skip: int = 0
    ) -> Sequence[User]:
        return await self._all(_paged(select(*USER_COLUMNS), USERS, after, limit, descending, skip))

    async def search(self, prefix: SearchPrefix, *, limit: int, descending: bool = False) -> Sequence[User]:
        found = select(*USER_COLUMNS).where(USERS.c.id.in_(_ids_starting_with(prefix)))
        return await self._all(_paged(found, USERS, None, limit, descending, 0))

    async def count(self, prefix: SearchPrefix | None = None) -> int:
        counted = USERS if prefix is None else _ids_starting_with(prefix).subquery()
        return int((await self._database.rows(select(func.count()).select_from(counted)))[0][0])

    async def active_admins(self, *, limit: int) -> Sequence[User]:
        return await self._all(_paged(select(*USER_COLUMNS).where(*_ACTIVE_ADMIN), USERS, None, limit, False, 0))

    def add(self, user: User) -> None:
        self._staged.add(USERS, user_values(user))

    def save(self, user: User) -> None:
        self._staged.save(USERS, user_values(user))

    def remove(self, user: User) -> None:
        self._staged.remove(USERS, user.id, user.version)  # the foreign keys take the rest along

    def require(self, user: User) -> None:
        self._staged.require(USERS.c.version, user.id, user.version)

    async def _one(self, statement: Select[Any]) -> User | None:
        users = await self._all(statement)
        return users[0] if users else None

    async def _all(self, statement: Select[Any]) -> Sequence[User]:
        return [user_from_row(row) for row in await self._database.rows(statement)]


class SqlPostRepository:
    def __init__(self, database: Database, staged: StagedWrites) -> None:
        self._database = database
        self._staged = staged

    async def get(self, post_id: PostId) -> Post | None:
        rows = await self._database.rows(select(*POST_COLUMNS).where(POSTS.c.id == post_id))
        return post_from_row(rows[0]) if rows else None

    async def page(
        self,
        author_id: UserId,
        *,
        after: PostId | None = None,
        limit: int,
        descending: bool = False,
        skip: int = 0,
    ) -> Sequence[Post]:
        written = select(*POST_COLUMNS).where(POSTS.c.author_id == author_id)
        rows = await self._database.rows(_paged(written, POSTS, after, limit, descending, skip))
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
    def __init__(self, database: Database, staged: StagedWrites) -> None:
        self._database = database
        self._staged = staged

    async def get(self, user_id: UserId) -> Credential | None:
        statement = select(CREDENTIALS.c.password_hash).where(CREDENTIALS.c.user_id == user_id)
        rows = await self._database.rows(statement)
        return Credential(user_id, rows[0][0]) if rows else None

    def put(self, credential: Credential) -> None:
        values = {"user_id": credential.user_id, "password_hash": credential.password_hash}
        statement = self._database.dialect.upsert(CREDENTIALS, CREDENTIALS.c.user_id, values)
        self._staged.put(CREDENTIALS, credential.user_id, statement)

    def require(self, credential: Credential) -> None:
        self._staged.require(CREDENTIALS.c.password_hash, credential.user_id, credential.password_hash)


def _paged(
    statement: Select[Any], table: Table, after: str | None, limit: int, descending: bool, skip: int
) -> Select[Any]:
    key = table.c.id
    if after is not None:
        statement = statement.where(key < after if descending else key > after)
    statement = statement.order_by(key.desc() if descending else key).limit(limit)
    return statement.offset(skip) if skip else statement


def _ids_starting_with(prefix: SearchPrefix) -> Any:
    return union(*(select(USERS.c.id).where(*_starts_with(key, prefix)) for key in _SEARCHED))


def _starts_with(key: ColumnElement[Any], prefix: str) -> Sequence[ColumnElement[bool]]:
    """Write "starts with" as a range, which every index on an `ExactText` can serve."""
    end = successor(prefix)
    return [key >= prefix] if end is None else [key >= prefix, key < end]
