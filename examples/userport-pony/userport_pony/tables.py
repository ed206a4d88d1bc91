"""The tables, and the conversion of users and records to rows and back."""

import json
from typing import Any

from adapters.record_values import record_to_row
from adapters.user_values import USER_FIELDS, user_from_json, user_to_json
from domain.records import R, RecordType, to_milliseconds
from domain.user import User
from domain.values import fold
from pony import orm


def define_entities(database: Any) -> None:
    """Define the tables, as attributes of a Pony database.

    One table holds the records of every type: searched fields have columns, everything else is JSON. By default Pony
    strips texts, and replaces empty ones by None. Times are milliseconds since 1970.
    """

    class User(database.Entity):
        _table_ = "users"
        id = orm.PrimaryKey(str, autostrip=False)
        email = orm.Required(str, autostrip=False)
        email_key = orm.Required(str, autostrip=False, unique=True)
        name = orm.Required(str, autostrip=False)
        name_key = orm.Required(str, autostrip=False)
        username = orm.Optional(str, autostrip=False, nullable=True)
        username_key = orm.Optional(str, autostrip=False, nullable=True, unique=True)
        bio = orm.Optional(str, autostrip=False, nullable=True)
        role = orm.Required(str, index=True)
        active = orm.Required(bool)
        email_verified = orm.Required(bool)
        version = orm.Required(int, size=64)
        created_at = orm.Required(int, size=64)
        updated_at = orm.Required(int, size=64)
        records = orm.Set("Record", cascade_delete=True)

    class Record(database.Entity):
        _table_ = "records"
        type_name = orm.Required(str)
        key = orm.Required(str, autostrip=False)
        orm.PrimaryKey(type_name, key)
        owner = orm.Optional(User, column="owner_id")
        due = orm.Optional(int, size=64)
        version = orm.Required(int, size=64)
        content = orm.Required(str, autostrip=False)
        unique_1 = orm.Optional(str, autostrip=False, nullable=True)
        unique_2 = orm.Optional(str, autostrip=False, nullable=True)
        unique_3 = orm.Optional(str, autostrip=False, nullable=True)
        orm.composite_key(type_name, unique_1)
        orm.composite_key(type_name, unique_2)
        orm.composite_key(type_name, unique_3)
        orm.composite_index(owner, type_name, key)
        orm.composite_index(type_name, due, key)


def record_values(record_type: RecordType[R], record: R) -> dict[str, object]:
    """Return a row of `records`. Raise `InvalidRecord`."""
    row = record_to_row(record_type, record)
    return {
        **row,
        "due": row["due"] and to_milliseconds(row["due"]),
        "content": json.dumps(row["content"], ensure_ascii=False),
    }


def record_from(record_type: RecordType[R], row: Any) -> R:
    return record_type.from_json(json.loads(row.content))


def user_values(user: User) -> dict[str, object]:
    return {**user_to_json(user), "name_key": fold(user.name)}


def user_from(row: Any) -> User:
    return user_from_json(getattr(row, name) for name in USER_FIELDS)
