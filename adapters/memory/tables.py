from collections import defaultdict
from collections.abc import Container, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Generic, Protocol, TypeVar

from adapters.memory.table import Journal, Table
from domain.errors import DomainError, EmailTaken, IdTaken, StaleVersion, UsernameTaken, UserNotFound
from domain.records import R, RecordType
from domain.user import User
from domain.values import UserId

E = TypeVar("E", contravariant=True)


class Described(Protocol[E]):
    """What a table must know about its rows: a `RecordType`, or `UserType`."""

    @property
    def unique(self) -> Mapping[str, type[DomainError]]: ...
    def key_of(self, record: E, /) -> str: ...
    def owner_of(self, record: E, /) -> UserId | None: ...
    def due_of(self, record: E, /) -> datetime | None: ...
    def unique_values_of(self, record: E, /) -> Mapping[str, str]: ...


class UserType:
    """Describes users as a `RecordType` describes records."""

    unique: Final = {"email": EmailTaken, "username": UsernameTaken}

    def key_of(self, user: User) -> str:
        return user.id

    def owner_of(self, _: User) -> None: ...
    def due_of(self, _: User) -> None: ...

    def unique_values_of(self, user: User) -> Mapping[str, str]:
        values = {"email": user.email.canonical}
        return values if user.username is None else {**values, "username": user.username.canonical}


class RecordTable(Generic[R]):
    """All users, or all records of a type, with their constraints."""

    def __init__(self, record_type: Described[R], users: Container[str] = ()) -> None:
        """`users` has the ids of those who may own records."""
        self._type: Final = record_type
        self._users: Final = users
        self.rows: Final[Table[str, R]] = Table()
        self._rows_by_owner: Final[defaultdict[str, Table[str, R]]] = defaultdict(Table)
        self._rows_by_due: Final[Table[tuple[datetime, str], R]] = Table()
        self._rows_by_value: Final[dict[str, Table[str, R]]] = {name: Table() for name in record_type.unique}

    def find(self, field: str, value: str) -> R | None:
        return self._rows_by_value[field].get(value)

    def of_owner(self, owner: UserId) -> Table[str, R]:
        return self._rows_by_owner.get(owner) or Table()

    def due(self, moment: datetime, limit: int) -> Sequence[R]:
        found: list[R] = []
        for record in self._rows_by_due.walk():
            due = self._type.due_of(record)
            if due is None or due > moment or len(found) == limit:
                break
            found.append(record)
        return found

    def add(self, record: R, journal: Journal) -> None:
        if self._type.key_of(record) in self.rows:
            raise IdTaken
        self._put(record, journal)
        owner = self._type.owner_of(record)
        if owner is not None and owner not in self._users:
            raise UserNotFound

    def save(self, record: R, journal: Journal) -> None:
        self._delete(self.require(record, record.version - 1), journal)
        self._put(record, journal)

    def remove(self, record: R, journal: Journal) -> None:
        self._delete(self.require(record, record.version), journal)

    def require(self, record: R, version: int) -> R:
        stored = self.rows.get(self._type.key_of(record))
        if stored is None or stored.version != version:
            raise StaleVersion
        return stored

    def remove_owned(self, owner: UserId, journal: Journal) -> None:
        """Remove all records of an owner."""
        removed: defaultdict[Table[Any, R], set[Any]] = defaultdict(set)
        for record in self.of_owner(owner).walk():
            for table, key in self._places(record):
                removed[table].add(key)
        for table, keys in removed.items():
            table.delete_all(keys, journal)

    def _put(self, record: R, journal: Journal) -> None:
        for name, value in self._type.unique_values_of(record).items():
            if value in self._rows_by_value[name]:
                raise self._type.unique[name]
        for table, key in self._places(record):
            table.put(key, record, journal)

    def _delete(self, record: R, journal: Journal) -> None:
        for table, key in self._places(record):
            table.delete(key, journal)

    def _places(self, record: R) -> Iterator[tuple[Table[Any, R], Any]]:
        """Return each table that has the record, with its key there."""
        key = self._type.key_of(record)
        yield self.rows, key
        for name, value in self._type.unique_values_of(record).items():
            yield self._rows_by_value[name], value
        owner = self._type.owner_of(record)
        if owner is not None:
            yield self._rows_by_owner[owner], key
        due = self._type.due_of(record)
        if due is not None:
            yield self._rows_by_due, (due, key)


class Tables:
    """All stored data."""

    def __init__(self, record_types: Sequence[RecordType[Any]]) -> None:
        self.users: Final = RecordTable(UserType())
        self._records: Final = {record_type: RecordTable(record_type, self.users.rows) for record_type in record_types}

    def records(self, record_type: RecordType[R]) -> RecordTable[R]:
        return self._records[record_type]

    def remove_user(self, user: User, journal: Journal) -> None:
        """Remove a user and every record that they own."""
        self.users.remove(user, journal)
        for records in self._records.values():
            records.remove_owned(user.id, journal)
