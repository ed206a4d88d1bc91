"""Documents to entities and back. What a record does not have is left out, as a sparse index wants it."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from functools import cache
from typing import Any, TypeAlias

from domain.records import Field, FieldKind, R, RecordType
from domain.user import Role, User
from domain.values import Bio, Email, Name, UserId, Username, fold

Document: TypeAlias = dict[str, Any]


def user_from_document(document: Mapping[str, Any]) -> User:
    return User(
        id=UserId(document["_id"]),
        email=Email(document["email"], document["email_key"]),
        name=Name(document["name"]),
        username=Username(document["username"], document["username_key"]) if "username" in document else None,
        bio=Bio(document["bio"]) if "bio" in document else None,
        role=Role(document["role"]),
        active=document["active"],
        email_verified=document.get("email_verified", False),
        version=int(document["version"]),  # instead of the driver's own Int64
        created_at=document["created_at"],
        updated_at=document["updated_at"],
    )


def user_document(user: User) -> Document:
    document: Document = {
        "_id": str(user.id),
        "email": user.email.address,
        "email_key": user.email.canonical,
        "name": str(user.name),
        "name_key": fold(user.name),
        "role": user.role.value,
        "active": user.active,
        "email_verified": user.email_verified,
        "version": user.version,
        "created_at": user.created_at,
        "updated_at": user.updated_at,
    }
    if user.username is not None:
        document |= {"username": user.username.text, "username_key": user.username.canonical}
    if user.bio is not None:
        document["bio"] = str(user.bio)
    return document


def record_from_document(record_type: RecordType[R], document: Document) -> R:
    plain = document | {record_type.key: document["_id"]}
    for name in _fields_with_names(record_type) & plain.keys():
        plain[name] = _unescape(plain[name])
    return record_type.from_plain(plain)


def record_document(record_type: RecordType[R], record: R) -> Document:
    """Return the document of a record; raises `InvalidRecord`."""
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
    """Double the `$` that a name in a mapping begins with: the driver takes `$ref` for its own."""
    if isinstance(value, dict):
        return {f"${name}" if name.startswith("$") else name: _escape(item) for name, item in value.items()}
    return [_escape(item) for item in value] if isinstance(value, list) else value


def _unescape(value: Any) -> Any:
    if isinstance(value, dict):
        return {name.removeprefix("$"): _unescape(item) for name, item in value.items()}
    return [_unescape(item) for item in value] if isinstance(value, list) else value
