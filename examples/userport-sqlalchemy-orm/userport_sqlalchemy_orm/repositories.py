from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Final, Generic, TypeVar

from adapters.prefix_range import prefix_upper_bound
from adapters.record_values import record_to_row, unique_columns
from adapters.user_values import USER_FIELDS, user_from_plain, user_to_plain
from domain.errors import EmailTaken, IdTaken, UsernameTaken, UserNotFound
from domain.records import R, RecordType
from domain.user import Role, User
from domain.values import Email, SearchPrefix, UserId, Username
from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import InstrumentedAttribute

from userport_sqlalchemy_orm.models import RecordModel, SearchKeyModel, UserModel
from userport_sqlalchemy_orm.sessions import Sessions
from userport_sqlalchemy_orm.writes import OWNER, Conflicts, Verb, Write

M = TypeVar("M")

_CONFLICTS: Final = {"users.id": IdTaken, "users.email_key": EmailTaken, "users.username_key": UsernameTaken}


class OrmUserRepository:
    def __init__(self, sessions: Sessions, staged: list[Write]) -> None:
        self._sessions = sessions
        self._staged = staged

    async def get(self, user_id: UserId) -> User | None:
        return await self._one(UserModel.id == user_id)

    async def find_by_email(self, email: Email) -> User | None:
        return await self._one(UserModel.email_key == email.canonical)

    async def find_by_emails(self, emails: Collection[Email]) -> Sequence[User]:
        return await self._all(select(UserModel).where(UserModel.email_key.in_([email.canonical for email in emails])))

    async def find_by_username(self, username: Username) -> User | None:
        return await self._one(UserModel.username_key == username.canonical)

    async def page(
        self, *, after: UserId | None = None, limit: int, descending: bool = False, skip: int = 0
    ) -> Sequence[User]:
        return await self._all(_page(select(UserModel), UserModel.id, after, limit, descending, skip))

    async def search(self, prefix: SearchPrefix, *, limit: int, descending: bool = False) -> Sequence[User]:
        found = select(UserModel).where(_starts_with(prefix))
        return await self._all(_page(found, UserModel.id, None, limit, descending, 0))

    async def count(self, prefix: SearchPrefix | None = None) -> int:
        number = select(func.count(UserModel.id))
        return (await self._sessions.read(number if prefix is None else number.where(_starts_with(prefix))))[0]

    async def active_admins(self, *, limit: int) -> Sequence[User]:
        admins = select(UserModel).where(UserModel.role == Role.ADMIN.value, UserModel.active)
        return await self._all(admins.order_by(UserModel.id).limit(limit))

    def add(self, user: User) -> None:
        self._stage("add", user, _user_values(user))

    def save(self, user: User) -> None:
        self._stage("save", user, _user_values(user))

    def remove(self, user: User) -> None:
        self._stage("remove", user)

    def require(self, user: User) -> None:
        self._stage("require", user)

    def _stage(self, verb: Verb, user: User, values: Mapping[str, object] | None = None) -> None:
        self._staged.append(Write(verb, UserModel, (user.id,), user.version, values or {}, _CONFLICTS))

    async def _one(self, condition: ColumnElement[bool]) -> User | None:
        return next(iter(await self._all(select(UserModel).where(condition))), None)

    async def _all(self, users: Select[UserModel]) -> Sequence[User]:
        return [user_from_plain(getattr(row, name) for name in USER_FIELDS) for row in await self._sessions.read(users)]


class OrmRecords(Generic[R]):
    """The records of one type."""

    def __init__(self, record_type: RecordType[R], sessions: Sessions, staged: list[Write]) -> None:
        self._type = record_type
        self._sessions = sessions
        self._staged = staged
        self._rows = select(RecordModel).where(RecordModel.type_name == record_type.name)
        self._columns = unique_columns(record_type)
        taken = {f"records.{self._columns[name]}": error for name, error in record_type.unique.items()}
        self._conflicts: Conflicts = {"records.type_name": IdTaken, OWNER: UserNotFound, **taken}

    async def get(self, key: str) -> R | None:
        return await self._one(RecordModel.key == key)

    async def find(self, field: str, value: str) -> R | None:
        return await self._one(getattr(RecordModel, self._columns[field]) == value)

    async def page(
        self,
        *,
        owner: UserId | None = None,
        after: str | None = None,
        limit: int,
        descending: bool = False,
        skip: int = 0,
    ) -> Sequence[R]:
        return await self._all(_page(self._owned_by(owner), RecordModel.key, after, limit, descending, skip))

    async def count(self, *, owner: UserId | None = None) -> int:
        number = self._owned_by(owner).with_only_columns(func.count(RecordModel.key))
        return (await self._sessions.read(number))[0]

    async def due(self, moment: datetime, *, limit: int) -> Sequence[R]:
        rows = self._rows.where(RecordModel.due <= moment)
        return await self._all(rows.order_by(RecordModel.due, RecordModel.key).limit(limit))

    def add(self, record: R) -> None:
        self._stage("add", record, record_to_row(self._type, record))

    def save(self, record: R) -> None:
        self._stage("save", record, record_to_row(self._type, record))

    def remove(self, record: R) -> None:
        self._stage("remove", record)

    def require(self, record: R) -> None:
        self._stage("require", record)

    def _stage(self, verb: Verb, record: R, values: Mapping[str, object] | None = None) -> None:
        key = self._type.name, self._type.key_of(record)
        self._staged.append(Write(verb, RecordModel, key, record.version, values or {}, self._conflicts))

    def _owned_by(self, owner: UserId | None) -> Select[RecordModel]:
        return self._rows if owner is None else self._rows.where(RecordModel.owner_id == owner)

    async def _one(self, condition: ColumnElement[bool]) -> R | None:
        return next(iter(await self._all(self._rows.where(condition))), None)

    async def _all(self, rows: Select[RecordModel]) -> Sequence[R]:
        return [self._type.from_json(row.content) for row in await self._sessions.read(rows)]


def _user_values(user: User) -> Mapping[str, object]:
    return {**user_to_plain(user), "search_texts": set(user.search_keys)}


def _page(
    rows: Select[M], by: InstrumentedAttribute[str], after: str | None, limit: int, descending: bool, skip: int
) -> Select[M]:
    if after is not None:
        rows = rows.where(by < after if descending else by > after)
    return rows.order_by(by.desc() if descending else by).limit(limit).offset(skip)


def _starts_with(prefix: str) -> ColumnElement[bool]:
    """Return a range, which an index can serve and which knows no wildcards."""
    keys = select(SearchKeyModel.user_id).where(SearchKeyModel.text >= prefix)
    end = prefix_upper_bound(prefix)
    return UserModel.id.in_(keys if end is None else keys.where(SearchKeyModel.text < end))
