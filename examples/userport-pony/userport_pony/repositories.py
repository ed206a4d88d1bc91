from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any, Final, Generic

from adapters.record_values import unique_columns
from domain.errors import DomainError, EmailTaken, IdTaken, UsernameTaken, UserNotFound
from domain.records import R, RecordType, to_milliseconds
from domain.user import Role, User
from domain.values import Email, SearchPrefix, UserId, Username
from pony import orm

from userport_pony.database import Database
from userport_pony.staged_writes import StagedWrites
from userport_pony.tables import record_from, record_values, user_from, user_values

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
        self._staged.add("users", user_values(user), _translate_user_error)

    def save(self, user: User) -> None:
        self._staged.save("users", user_values(user), ("id",), _translate_user_error)

    def remove(self, user: User) -> None:
        self._staged.remove("users", id=user.id, version=user.version)  # the foreign keys remove the rest

    def require(self, user: User) -> None:
        self._staged.require("users", id=user.id, version=user.version)

    async def _one(self, **key: str) -> User | None:
        def read(db: Any) -> User | None:
            row = db.User.get(**key)
            return None if row is None else user_from(row)

        return await self._database.read(read)

    async def _all(self, query: Callable[[Any], Any]) -> Sequence[User]:
        return await self._database.read(lambda db: [user_from(row) for row in query(db)])


class PonyRecords(Generic[R]):
    """The records of one type."""

    def __init__(self, record_type: RecordType[R], database: Database, staged: StagedWrites) -> None:
        self._type = record_type
        self._database = database
        self._staged = staged

    async def get(self, key: str) -> R | None:
        return await self._one(key=key)

    async def find(self, field: str, value: str) -> R | None:
        return await self._one(**{unique_columns(self._type)[field]: value})

    async def page(
        self,
        *,
        owner: UserId | None = None,
        after: str | None = None,
        limit: int,
        descending: bool = False,
        skip: int = 0,
    ) -> Sequence[R]:
        def read(db: Any) -> Any:
            query = self._select(db, owner)
            if after is not None:
                query = query.filter((lambda row: row.key < after) if descending else (lambda row: row.key > after))
            ordered = query.order_by((lambda row: orm.desc(row.key)) if descending else (lambda row: row.key))
            return ordered.limit(limit, offset=skip)

        return await self._all(read)

    async def count(self, *, owner: UserId | None = None) -> int:
        return await self._database.read(lambda db: int(self._select(db, owner).count()))

    async def due(self, moment: datetime, *, limit: int) -> Sequence[R]:
        latest = to_milliseconds(moment)

        def read(db: Any) -> Any:
            due = self._select(db, None).filter(lambda row: row.due <= latest)
            return due.order_by(lambda row: (row.due, row.key)).limit(limit)

        return await self._all(read)

    def add(self, record: R) -> None:
        self._staged.add("records", record_values(self._type, record), self._translate)

    def save(self, record: R) -> None:
        self._staged.save("records", record_values(self._type, record), ("type_name", "key"), self._translate)

    def remove(self, record: R) -> None:
        self._staged.remove("records", type_name=self._type.name, key=self._type.key_of(record), version=record.version)

    def require(self, record: R) -> None:
        self._staged.require(
            "records", type_name=self._type.name, key=self._type.key_of(record), version=record.version
        )

    def _select(self, db: Any, owner: UserId | None) -> Any:
        name = self._type.name
        if owner is None:
            return db.Record.select(lambda row: row.type_name == name)
        return db.Record.select(lambda row: row.type_name == name and row.owner.id == owner)

    async def _one(self, **found_by: str) -> R | None:
        if "" in found_by.values():
            return None  # Pony rejects a search for an empty text

        def read(db: Any) -> R | None:
            row = db.Record.get(type_name=self._type.name, **found_by)
            return None if row is None else record_from(self._type, row)

        return await self._database.read(read)

    async def _all(self, query: Callable[[Any], Any]) -> Sequence[R]:
        return await self._database.read(lambda db: [record_from(self._type, row) for row in query(db)])

    def _translate(self, message: str) -> DomainError | None:
        if "FOREIGN KEY" in message:
            return UserNotFound()
        for name, column in unique_columns(self._type).items():
            if f"records.{column}" in message:
                return self._type.unique[name]()
        return IdTaken() if "records.key" in message else None


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


def _translate_user_error(message: str) -> DomainError | None:
    errors = {"users.email_key": EmailTaken, "users.username_key": UsernameTaken, "users.id": IdTaken}
    return next((error() for column, error in errors.items() if column in message), None)
