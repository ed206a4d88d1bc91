from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Generic

from adapters.memory.table import Journal, Table
from domain.errors import EmailTaken, IdTaken, StaleVersion, UsernameTaken, UserNotFound
from domain.records import R, RecordType
from domain.user import User
from domain.values import UserId


class UserTable:
    """All users, with their constraints."""

    def __init__(self) -> None:
        self.rows: Final[Table[UserId, User]] = Table()
        self.ids_by_email: Final[Table[str, UserId]] = Table()
        self.ids_by_username: Final[Table[str, UserId]] = Table()

    def add(self, user: User, journal: Journal) -> None:
        if user.id in self.rows:
            raise IdTaken
        self._put(user, journal)

    def save(self, user: User, journal: Journal) -> None:
        self._free_names(self.require(user.id, user.version - 1), journal)
        self._put(user, journal)

    def remove(self, user: User, journal: Journal) -> None:
        self._free_names(self.require(user.id, user.version), journal)
        self.rows.delete(user.id, journal)

    def require(self, user_id: UserId, version: int) -> User:
        user = self.rows.get(user_id)
        if user is None or user.version != version:
            raise StaleVersion
        return user

    def _put(self, user: User, journal: Journal) -> None:
        if user.email.canonical in self.ids_by_email:
            raise EmailTaken
        if user.username and user.username.canonical in self.ids_by_username:
            raise UsernameTaken
        self.rows.put(user.id, user, journal)
        self.ids_by_email.put(user.email.canonical, user.id, journal)
        if user.username:
            self.ids_by_username.put(user.username.canonical, user.id, journal)

    def _free_names(self, user: User, journal: Journal) -> None:
        self.ids_by_email.delete(user.email.canonical, journal)
        if user.username:
            self.ids_by_username.delete(user.username.canonical, journal)


class RecordTable(Generic[R]):
    """All records of a type, with its declared constraints."""

    def __init__(self, record_type: RecordType[R], users: UserTable) -> None:
        self._type: Final = record_type
        self._users: Final = users
        self.rows: Final[Table[str, R]] = Table()
        self._rows_by_owner: Final[defaultdict[str, Table[str, R]]] = defaultdict(Table)
        self._rows_by_due: Final[Table[tuple[datetime, str], R]] = Table()
        self.keys_by_value: Final[dict[str, Table[str, str]]] = {name: Table() for name in record_type.unique}

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
        if owner is not None and owner not in self._users.rows:
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
        removed = list(self.of_owner(owner).walk())
        if not removed:
            return
        self.rows.delete_all({self._type.key_of(record) for record in removed}, journal)
        dues = ((self._type.due_of(record), self._type.key_of(record)) for record in removed)
        self._rows_by_due.delete_all({(due, key) for due, key in dues if due is not None}, journal)
        for name, keys in self.keys_by_value.items():
            values = (self._type.unique_values_of(record).get(name) for record in removed)
            keys.delete_all({value for value in values if value is not None}, journal)
        owned = self._rows_by_owner.pop(owner)
        journal.append(lambda: self._rows_by_owner.__setitem__(owner, owned))

    def _put(self, record: R, journal: Journal) -> None:
        key = self._type.key_of(record)
        for name, value in self._type.unique_values_of(record).items():
            if value in self.keys_by_value[name]:
                raise self._type.unique[name]
            self.keys_by_value[name].put(value, key, journal)
        self.rows.put(key, record, journal)
        owner = self._type.owner_of(record)
        if owner is not None:
            self._rows_by_owner[owner].put(key, record, journal)
        due = self._type.due_of(record)
        if due is not None:
            self._rows_by_due.put((due, key), record, journal)

    def _delete(self, record: R, journal: Journal) -> None:
        key = self._type.key_of(record)
        for name, value in self._type.unique_values_of(record).items():
            self.keys_by_value[name].delete(value, journal)
        self.rows.delete(key, journal)
        owner = self._type.owner_of(record)
        if owner is not None:
            self._rows_by_owner[owner].delete(key, journal)
        due = self._type.due_of(record)
        if due is not None:
            self._rows_by_due.delete((due, key), journal)


class Tables:
    """All stored data."""

    def __init__(self, record_types: Sequence[RecordType[Any]]) -> None:
        self.users: Final = UserTable()
        self._records: Final = {record_type: RecordTable(record_type, self.users) for record_type in record_types}

    def records(self, record_type: RecordType[R]) -> RecordTable[R]:
        return self._records[record_type]

    def remove_user(self, user: User, journal: Journal) -> None:
        """Remove a user and every record that they own."""
        self.users.remove(user, journal)
        for records in self._records.values():
            records.remove_owned(user.id, journal)
