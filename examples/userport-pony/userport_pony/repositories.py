from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeAlias

from domain.credential import Credential
from domain.errors import StaleVersion
from domain.post import Post
from domain.user import User
from domain.values import Email, PostId, SearchPrefix, UserId, Username
from pony import orm

from userport_pony.database import Database
from userport_pony.tables import post_from, post_values, user_from, user_values

Write: TypeAlias = Callable[[Any], object]
"""One statement of a commit, given the Pony database.

Pony's objects are for reading. In a commit they would remember each other and refuse a second user of an email before
SQLite's constraint does, by an error that repeats the email; and they remove the posts of a user one by one.
"""


class PonyUserRepository:
    def __init__(self, database: Database, staged: list[Write]) -> None:
        self._database = database
        self._staged = staged

    async def get(self, user_id: UserId) -> User | None:
        return await self._one(id=user_id)

    async def find_by_email(self, email: Email) -> User | None:
        return await self._one(email_key=email.canonical)

    async def find_by_emails(self, emails: Collection[Email]) -> Sequence[User]:
        keys = [email.canonical for email in emails]
        return await self._all(lambda db: db.User.select(lambda user: user.email_key in keys))

    async def find_by_username(self, username: Username) -> User | None:
        return await self._one(username_key=username.canonical)

    async def page(
        self, *, after: UserId | None = None, limit: int, descending: bool = False, skip: int = 0
    ) -> Sequence[User]:
        return await self._all(lambda db: _paged(db.User.select(), after, limit, descending, skip))

    async def search(self, prefix: SearchPrefix, *, limit: int, descending: bool = False) -> Sequence[User]:
        return await self._all(lambda db: _paged(_starting_with(db, prefix), None, limit, descending, 0))

    async def count(self, prefix: SearchPrefix | None = None) -> int:
        return await self._database.read(
            lambda db: int((db.User.select() if prefix is None else _starting_with(db, prefix)).count())
        )

    def add(self, user: User) -> None:
        self._staged.append(lambda db: db.insert("users", **user_values(user)))

    def save(self, user: User) -> None:
        self._staged.append(lambda db: _save(db, "users", user_values(user)))

    def remove(self, user: User) -> None:
        self._staged.append(lambda db: _remove(db, "users", user))  # the foreign keys take the rest along

    async def _one(self, **key: str) -> User | None:
        def read(db: Any) -> User | None:
            row = db.User.get(**key)
            return None if row is None else user_from(row)

        return await self._database.read(read)

    async def _all(self, query: Callable[[Any], Any]) -> Sequence[User]:
        return await self._database.read(lambda db: [user_from(row) for row in query(db)])


class PonyPostRepository:
    def __init__(self, database: Database, staged: list[Write]) -> None:
        self._database = database
        self._staged = staged

    async def get(self, post_id: PostId) -> Post | None:
        def read(db: Any) -> Post | None:
            row = db.Post.get(id=post_id)
            return None if row is None else post_from(row)

        return await self._database.read(read)

    async def page(
        self,
        author_id: UserId,
        *,
        after: PostId | None = None,
        limit: int,
        descending: bool = False,
        skip: int = 0,
    ) -> Sequence[Post]:
        def read(db: Any) -> Sequence[Post]:
            written = db.Post.select(lambda post: post.author.id == author_id)
            return [post_from(row) for row in _paged(written, after, limit, descending, skip)]

        return await self._database.read(read)

    async def count(self, author_id: UserId) -> int:
        return await self._database.read(
            lambda db: int(db.Post.select(lambda post: post.author.id == author_id).count())
        )

    def add(self, post: Post) -> None:
        self._staged.append(lambda db: db.insert("posts", **post_values(post)))

    def save(self, post: Post) -> None:
        self._staged.append(lambda db: _save(db, "posts", post_values(post)))

    def remove(self, post: Post) -> None:
        self._staged.append(lambda db: _remove(db, "posts", post))


class PonyCredentialRepository:
    def __init__(self, database: Database, staged: list[Write]) -> None:
        self._database = database
        self._staged = staged

    async def get(self, user_id: UserId) -> Credential | None:
        def read(db: Any) -> Credential | None:
            row = db.Credential.get(user=user_id)
            return None if row is None else Credential(user_id, row.password_hash)

        return await self._database.read(read)

    def put(self, credential: Credential) -> None:
        values = {"user_id": credential.user_id, "password_hash": credential.password_hash}
        self._staged.append(lambda db: db.execute("REPLACE INTO credentials VALUES ($user_id, $password_hash)", values))


def _paged(query: Any, after: str | None, limit: int, descending: bool, skip: int) -> Any:
    if after is not None:
        query = query.filter((lambda row: row.id < after) if descending else (lambda row: row.id > after))
    ordered = query.order_by((lambda row: orm.desc(row.id)) if descending else (lambda row: row.id))
    return ordered.limit(limit, offset=skip)


def _starting_with(db: Any, prefix: str) -> Any:
    return db.User.select(
        lambda user: (
            user.name_key.startswith(prefix)
            or user.email_key.startswith(prefix)
            or user.username_key.startswith(prefix)
        )
    )


# Both are put together from names of ours alone.


def _save(db: Any, table: str, values: Mapping[str, object]) -> None:
    changes = ", ".join(f"{column} = ${column}" for column in values)
    _change(db, f"UPDATE {table} SET {changes} WHERE id = $id AND version = $version - 1", values)  # noqa: S608


def _remove(db: Any, table: str, record: User | Post) -> None:
    values = {"id": record.id, "version": record.version}
    _change(db, f"DELETE FROM {table} WHERE id = $id AND version = $version", values)  # noqa: S608


def _change(db: Any, statement: str, values: Mapping[str, object]) -> None:
    if db.execute(statement, dict(values)).rowcount != 1:
        raise StaleVersion
