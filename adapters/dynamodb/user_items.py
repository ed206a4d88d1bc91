"""The items of users: their keys and images."""

from collections.abc import Sequence, Set
from typing import Final

from adapters.dynamodb.items import Image, Key
from adapters.user_values import USER_FIELDS, user_from_json, user_to_json
from domain.user import Role, User
from domain.values import SearchPrefix, fold

_MAX_SORT_KEY_BYTES: Final = 1_024  # a search prefix may be longer, unlike an email or a folded name

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
    """Return the keys of all index items of a user."""
    keys = [email_key(image["email_key"]), name_key(image, user_id)]
    if "username_key" in image:
        keys.append(username_key(image["username_key"]))
    if is_active_admin(image):
        keys.append(admin_key(user_id))
    return dict.fromkeys(keys).keys()


def search_ranges(prefix: SearchPrefix) -> Sequence[Key]:
    """Return the partitions and sort-key prefixes in which a search prefix is looked up."""
    fits = len(prefix.encode()) <= _MAX_SORT_KEY_BYTES
    return [Key(partition, prefix) for partition in ("names", "emails", "usernames")] if fits else []


def is_user(image: Image | None) -> bool:
    """Return whether an image is a user, rather than missing or a tombstone."""
    return image is not None and "version" in image


def owns(user: Image | None, record: Image) -> bool:
    """Return whether a record belongs to this user, rather than to a removed one with the same id."""
    return user is not None and is_user(user) and user.get("purging") in {None, record["rev"]}


def is_active_admin(image: Image) -> bool:
    return is_user(image) and bool(image["active"]) and image["role"] == Role.ADMIN


def user_image(user: User, rev: str) -> Image:
    values = {name: value for name, value in user_to_json(user).items() if value is not None}
    del values["id"]
    return {"rev": rev, **values}


def user_from(user_id: str, image: Image) -> User:
    return user_from_json(map({**image, "id": user_id}.get, USER_FIELDS))
