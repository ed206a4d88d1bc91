"""The items of users: their keys and images."""

from collections.abc import Sequence, Set
from datetime import UTC, datetime, timedelta
from typing import Final

from adapters.dynamodb.items import Image, Key
from domain.user import Role, User
from domain.values import Bio, Email, Name, SearchPrefix, UserId, Username, fold

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_MAX_SORT_KEY_BYTES: Final = 1_024  # no email and no folded name is longer; a prefix to search for may be

ADMINS: Final = "admins"
REMOVALS: Final = "removals"


def user_key(user_id: str) -> Key:
    return Key("users", user_id)


def email_key(canonical: str) -> Key:
    return Key("emails", canonical)


def username_key(canonical: str) -> Key:
    return Key("usernames", canonical)


def name_key(image: Image, user_id: str) -> Key:
    return Key("names", f"{fold(image['name'])}\0{user_id}")


def admin_key(user_id: str) -> Key:
    return Key(ADMINS, user_id)


def removal_key(user_id: str) -> Key:
    return Key(REMOVALS, user_id)


def user_index_keys(user_id: str, image: Image) -> Set[Key]:
    """Return the keys of all items by which a user is found or listed."""
    keys = [email_key(image["email_key"]), name_key(image, user_id)]
    if "username_key" in image:
        keys.append(username_key(image["username_key"]))
    if is_active_admin(image):
        keys.append(admin_key(user_id))
    return dict.fromkeys(keys).keys()


def search_ranges(prefix: SearchPrefix) -> Sequence[Key]:
    """Return the partitions and beginnings of the ranges that hold the owners of a prefix."""
    fits = len(prefix.encode()) <= _MAX_SORT_KEY_BYTES
    return [Key(partition, prefix) for partition in ("names", "emails", "usernames")] if fits else []


def is_user(image: Image | None) -> bool:
    """Return whether this is a user, rather than nothing or the tombstone of one."""
    return image is not None and "version" in image


def owns(user: Image | None, record: Image) -> bool:
    """Return whether a record belongs to this user, rather than to a removed one who had the same id."""
    return user is not None and is_user(user) and user.get("purging") in {None, record["rev"]}


def is_active_admin(image: Image) -> bool:
    return is_user(image) and bool(image["active"]) and image["role"] == Role.ADMIN


def user_image(user: User, rev: str) -> Image:
    values = {
        "rev": rev,
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
        "created_at": (user.created_at - _EPOCH) // _MILLISECOND,
        "updated_at": (user.updated_at - _EPOCH) // _MILLISECOND,
    }
    return {name: value for name, value in values.items() if value is not None}


def user_from(user_id: str, image: Image) -> User:
    return User(
        id=UserId(user_id),
        email=Email(image["email"], image["email_key"]),
        name=Name(image["name"]),
        username=Username(image["username"], image["username_key"]) if "username" in image else None,
        bio=Bio(image["bio"]) if "bio" in image else None,
        role=Role(image["role"]),
        active=image["active"],
        email_verified=image.get("email_verified", False),
        version=image["version"],
        created_at=_EPOCH + image["created_at"] * _MILLISECOND,
        updated_at=_EPOCH + image["updated_at"] * _MILLISECOND,
    )
