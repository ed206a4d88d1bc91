from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

from domain.credential import Credential
from domain.post import Post
from domain.user import Role, User
from domain.values import Email, PostId, SearchPrefix, UserId, Username
from pony import orm

from userport_pony.database import Database
from userport_pony.staged_writes import StagedWrites
from userport_pony.tables import post_from, post_values, user_from, user_values

_ADMIN: Final = Role.ADMIN.value


class PonyUserRepository:
    def __init__(self, database: Database, staged: StagedWrites) -> None:
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

    async def active_admins(self, *, limit: int) -> Sequence[User]:
        def read(db: Any) -> Any:
            admins = db.User.select(lambda user: user.role == _ADMIN and user.active)
            return _paged(admins, None, limit, False, 0)

        return await self._all(read)

    def add(self, user: User) -> None:
        self._staged.add("users", user_values(user))

    def save(self, user: User) -> None:
        self._staged.save("users", user_values(user))

    def remove(self, user: User) -> None:
        self._staged.remove("users", user.id, user.version)  # the foreign keys take the rest along

    def require(self, user: User) -> None:
        self._staged.require("users", id=user.id, version=user.version)

    async def _one(self, **key: str) -> User | None:
        def read(db: Any) -> User | None:
            row = db.User.get(**key)
            return None if row is None else user_from(row)

        return await self._database.read(read)

    async def _all(self, query: Callable[[Any], Any]) -> Sequence[User]:
        return await self._database.read(lambda db: [user_from(row) for row in query(db)])


class PonyPostRepository:
    def __init__(self, database: Database, staged: StagedWrites) -> None:
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
        self._staged.add("posts", post_values(post))

    def save(self, post: Post) -> None:
        self._staged.save("posts", post_values(post))

    def remove(self, post: Post) -> None:
        self._staged.remove("posts", post.id, post.version)


class PonyCredentialRepository:
    def __init__(self, database: Database, staged: StagedWrites) -> None:
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

    def require(self, credential: Credential) -> None:
        self._staged.require("credentials", user_id=credential.user_id, password_hash=credential.password_hash)


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
