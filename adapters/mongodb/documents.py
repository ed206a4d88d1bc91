"""Convert entities to documents and back. Fields that are None are omitted, as sparse indexes require."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from functools import cache
from typing import Any, TypeAlias

from adapters.user_values import USER_FIELDS, user_from_plain, user_to_plain
from domain.records import Field, FieldKind, R, RecordType
from domain.user import User
from domain.values import fold

Document: TypeAlias = dict[str, Any]


def user_from_document(document: Mapping[str, Any]) -> User:
    values = {**document, "id": document["_id"], "version": int(document["version"])}  # not the driver's Int64
    return user_from_plain(map(values.get, USER_FIELDS))


def user_document(user: User) -> Document:
    values = user_to_plain(user)
    document: Document = {"_id": values.pop("id"), "name_key": fold(user.name)}
    return document | {name: value for name, value in values.items() if value is not None}


def record_from_document(record_type: RecordType[R], document: Document) -> R:
    plain = document | {record_type.key: document["_id"]}
    for name in _fields_with_names(record_type) & plain.keys():
        plain[name] = _unescape(plain[name])
    return record_type.from_plain(plain)


def record_document(record_type: RecordType[R], record: R) -> Document:
    """Return the document of a record. Raise `InvalidRecord`."""
    plain = record_type.to_plain(record)
    document: Document = {"_id": plain.pop(record_type.key)}
    document |= {name: value for name, value in plain.items() if value is not None}
    for name in _fields_with_names(record_type) & document.keys():
        document[name] = _escape(document[name])
    return document


@cache
def _fields_with_names(record_type: RecordType[Any]) -> AbstractSet[str]:
    """Return the fields that are mappings or contain some."""

    def has_names(field: Field | None) -> bool:
        return field is not None and (field.kind is FieldKind.MAPPING or has_names(field.items))

    return {name for name, field in record_type.fields.items() if has_names(field)}


def _escape(value: Any) -> Any:
    """Double a leading `$` in the names of a mapping: the driver interprets `$ref`."""
    if isinstance(value, dict):
        return {f"${name}" if name.startswith("$") else name: _escape(item) for name, item in value.items()}
    return [_escape(item) for item in value] if isinstance(value, list) else value


def _unescape(value: Any) -> Any:
    if isinstance(value, dict):
        return {name.removeprefix("$"): _unescape(item) for name, item in value.items()}
    return [_unescape(item) for item in value] if isinstance(value, list) else value
