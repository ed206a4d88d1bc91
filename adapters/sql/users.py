"""The users in SQL."""

from collections.abc import Collection, Sequence
from typing import Final

from sqlalchemy import func, literal, select

from adapters.sql.engine.batching import KeyLoader, KeysetPaginator
from adapters.sql.engine.database import Database
from adapters.sql.engine.statements import Row
from adapters.sql.engine.writes import (
    PendingInsert,
    RowCallback,
    RowValues,
    StagedWrite,
    VersionedUpdate,
    required_version,
)
from adapters.sql.removals import UserRemovals
from adapters.sql.search import PrefixSearch
from adapters.sql.tables import IS_LIVE, REMOVED_USERS, USER_COLUMNS, USERS
from adapters.user_values import user_from_plain, user_to_plain
from domain.user import Role, User
from domain.values import Email, SearchPrefix, UserId, Username, fold

# A literal role: with a parameter, a database could not use the partial index of admins.
_IS_ACTIVE_ADMIN: Final = (USERS.c.role == literal(Role.ADMIN.value, literal_execute=True), USERS.c.active)

_USERS: Final = select(*USER_COLUMNS)
_COUNT: Final = select(
    select(func.count()).select_from(USERS).scalar_subquery()
    - select(func.count()).select_from(REMOVED_USERS).scalar_subquery()
)


class UserQueries:
    """The queries for users, shared by all units of work so that concurrent reads are batched."""

    def __init__(self, database: Database) -> None:
        self.database: Final = database
        self.by_id: Final = KeyLoader(database, USERS.c.id, USER_COLUMNS, [IS_LIVE])
        self.by_email: Final = KeyLoader(database, USERS.c.email_key, USER_COLUMNS)
        self.by_username: Final = KeyLoader(database, USERS.c.username_key, USER_COLUMNS)
        self.pages: Final = KeysetPaginator(database, _USERS.where(IS_LIVE), USERS.c.id, user_from_plain)
        self.active_admins: Final = KeysetPaginator(
            database, _USERS.where(*_IS_ACTIVE_ADMIN), USERS.c.id, user_from_plain
        )
        self.search: Final = PrefixSearch(database)


class SqlUserRepository:
    """The users in a unit of work."""

    def __init__(self, queries: UserQueries, staged: list[StagedWrite], removals: UserRemovals) -> None:
        self._queries = queries
        self._staged = staged
        self._removals = removals
        self._known: dict[UserId, User] = {}

    async def get(self, user_id: UserId) -> User | None:
        user = _user(await self._queries.by_id.load(user_id))
        if user is not None:
            self._known[user_id] = user
        return user

    async def find_by_email(self, email: Email) -> User | None:
        return _user(await self._queries.by_email.load(email.canonical))

    async def find_by_emails(self, emails: Collection[Email]) -> Sequence[User]:
        rows = await self._queries.by_email.load_many({email.canonical for email in emails})
        return [user_from_plain(row) for row in rows]

    async def find_by_username(self, username: Username) -> User | None:
        return _user(await self._queries.by_username.load(username.canonical))

    async def page(
        self, *, after: UserId | None = None, limit: int, descending: bool = False, skip: int = 0
    ) -> Sequence[User]:
        return await self._queries.pages.page(after=after, limit=limit, descending=descending, skip=skip)

    async def search(self, prefix: SearchPrefix, *, limit: int, descending: bool = False) -> Sequence[User]:
        rows = await self._queries.search.rows(prefix, limit=limit, descending=descending)
        return [user_from_plain(row) for row in rows]

    async def count(self, prefix: SearchPrefix | None = None) -> int:
        if prefix is not None:
            return await self._queries.search.count(prefix)
        return int((await self._queries.database.fetch(_COUNT))[0][0])

    async def active_admins(self, *, limit: int) -> Sequence[User]:
        return await self._queries.active_admins.page(limit=limit)

    def add(self, user: User) -> None:
        self._staged.append(PendingInsert(USERS, [row_of(user)]))

    def save(self, user: User) -> None:
        before = self._known.get(user.id)
        # Only changed columns are written: every written column costs an update of its indexes.
        known = row_of(before) if before is not None and before.version == user.version - 1 else None
        self._staged.append(VersionedUpdate.to(USERS, row_of(user), known))

    def remove(self, user: User) -> None:
        self._staged.append(RowCallback(USERS, user.id, None, self._removals.removal(user)))

    def require(self, user: User) -> None:
        self._staged.append(required_version(USERS, user.id, None, user.version))


def _user(row: Row | None) -> User | None:
    return None if row is None else user_from_plain(row)


def row_of(user: User) -> RowValues:
    return user_to_plain(user) | {"name_key": fold(user.name)}
