"""Convert users to plain values, which every store builds on, as `RecordType` does for records."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from domain.records import from_milliseconds, to_milliseconds
from domain.user import Role, User
from domain.values import Bio, Email, Name, UserId, Username

USER_FIELDS: Final = (
    "id",
    "email",
    "email_key",
    "name",
    "username",
    "username_key",
    "bio",
    "role",
    "active",
    "email_verified",
    "version",
    "created_at",
    "updated_at",
)
"""The order of the values from which a user is restored; a `…_key` is the canonical form."""

_ROLES: Final[Mapping[str, Role]] = {role.value: role for role in Role}  # faster than calling the enum


def user_to_plain(user: User) -> dict[str, Any]:
    """Return the value of each of `USER_FIELDS`."""
    return {
        "id": str(user.id),
        "email": user.email.address,
        "email_key": user.email.canonical,
        "name": str(user.name),
        "username": user.username and user.username.text,
        "username_key": user.username and user.username.canonical,
        "bio": None if user.bio is None else str(user.bio),
        "role": user.role.value,
        "active": user.active,
        "email_verified": user.email_verified,
        "version": user.version,
        "created_at": user.created_at,
        "updated_at": user.updated_at,
    }


def user_from_plain(values: Iterable[Any]) -> User:
    """Return the user for the values of `USER_FIELDS`."""
    id_, email, email_key, name, username, username_key, bio, role, active, verified, version, created, updated = values
    return User(
        id=UserId(id_),
        email=Email(email, email_key),
        name=Name(name),
        username=None if username is None else Username(username, username_key),
        bio=None if bio is None else Bio(bio),
        role=_ROLES[role],
        active=active,
        email_verified=bool(verified),  # None in data of an older userport
        version=version,
        created_at=created,
        updated_at=updated,
    )


def user_to_json(user: User) -> dict[str, Any]:
    """Return the values as JSON, with times in milliseconds since 1970."""
    values = user_to_plain(user)
    return values | {name: to_milliseconds(values[name]) for name in ("created_at", "updated_at")}


def user_from_json(values: Iterable[Any]) -> User:
    *others, created_at, updated_at = values
    return user_from_plain([*others, from_milliseconds(created_at), from_milliseconds(updated_at)])
