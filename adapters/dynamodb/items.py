"""Where each record lies in the table, and how it is written there.

    users          <user id>                  the user, or what is left of one whose posts are being purged
    emails         <canonical email>          owner
    usernames      <canonical username>       owner
    names          <folded name> NUL <id>     owner
    credential#<user id>  credential          the credential
    posts#<author id>     <post id>           the post
    post#<post id>        author              owner
    removals       <user id>                  owner: a user whose posts are being purged
    transactions   <id>                       a commit of several transactions; see `intents`
    transaction#<id>      <number>            the keys that a part of it touches

Users, posts and credentials carry `rev`, the id of the commit that wrote them last.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple, TypeAlias

from domain.credential import Credential
from domain.post import Post
from domain.user import Role, User
from domain.values import Bio, Body, Email, Name, PostId, SearchPrefix, Title, UserId, Username, fold

Image: TypeAlias = Mapping[str, Any]
"""The attributes of an item but for its key: texts, numbers, truth values, None, and lists and mappings of them."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_LONGEST_SORT_KEY: Final = 1_024  # bytes, which no email and no name exceeds; what is searched for may


class Key(NamedTuple):
    pk: str
    sk: str


def user_key(user_id: str) -> Key:
    return Key("users", user_id)


def email_key(canonical: str) -> Key:
    return Key("emails", canonical)


def username_key(canonical: str) -> Key:
    return Key("usernames", canonical)


def credential_key(user_id: str) -> Key:
    return Key(f"credential#{user_id}", "credential")


def posts_of(author_id: str) -> str:
    return f"posts#{author_id}"


def post_key(author_id: str, post_id: str) -> Key:
    return Key(posts_of(author_id), post_id)


def author_key(post_id: str) -> Key:
    return Key(f"post#{post_id}", "author")


def removal_key(user_id: str) -> Key:
    return Key("removals", user_id)


def name_key(image: Image, user_id: str) -> Key:
    return Key("names", f"{fold(image['name'])}\0{user_id}")


def search_ranges(prefix: SearchPrefix) -> Sequence[Key]:
    """Name the ranges, by partition and beginning, in which the owners of a prefix are."""
    fits = len(prefix.encode()) <= _LONGEST_SORT_KEY
    return [Key(partition, prefix) for partition in ("names", "emails", "usernames")] if fits else []


def is_user(image: Image | None) -> bool:
    """Tell a user from one who is removed, with posts that are still being purged."""
    return image is not None and "version" in image


def is_listed(key: Key) -> bool:
    """Tell a user or a post, of which pages are made."""
    return key.pk.startswith(("users", "posts#"))


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
        "version": user.version,
        "created_at": _milliseconds(user.created_at),
        "updated_at": _milliseconds(user.updated_at),
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
        version=image["version"],
        created_at=_time(image["created_at"]),
        updated_at=_time(image["updated_at"]),
    )


def post_image(post: Post, rev: str) -> Image:
    return {
        "rev": rev,
        "title": str(post.title),
        "body": str(post.body),
        "version": post.version,
        "created_at": _milliseconds(post.created_at),
        "updated_at": _milliseconds(post.updated_at),
    }


def post_from(author_id: str, post_id: str, image: Image) -> Post:
    return Post(
        id=PostId(post_id),
        author_id=UserId(author_id),
        title=Title(image["title"]),
        body=Body(image["body"]),
        version=image["version"],
        created_at=_time(image["created_at"]),
        updated_at=_time(image["updated_at"]),
    )


def credential_image(credential: Credential, rev: str) -> Image:
    return {"rev": rev, "password_hash": credential.password_hash}


def encoded(value: Any) -> dict[str, Any]:
    """Write a value as DynamoDB's attribute values."""
    match value:
        case None:
            return {"NULL": True}
        case bool():
            return {"BOOL": value}
        case int():
            return {"N": str(value)}
        case str():
            return {"S": str(value)}
        case list():
            return {"L": [encoded(part) for part in value]}
        case _:
            return {"M": {name: encoded(part) for name, part in value.items()}}


def decoded(attribute: Mapping[str, Any]) -> Any:
    ((kind, value),) = attribute.items()
    match kind:
        case "NULL":
            return None
        case "N":
            return int(value)
        case "L":
            return [decoded(part) for part in value]
        case "M":
            return {name: decoded(part) for name, part in value.items()}
        case _:
            return value


def encoded_key(key: Key) -> dict[str, Any]:
    return {"pk": {"S": key.pk}, "sk": {"S": key.sk}}


def encoded_item(key: Key, image: Image) -> dict[str, Any]:
    return encoded_key(key) | {name: encoded(value) for name, value in image.items()}


def decoded_item(item: Mapping[str, Any]) -> tuple[Key, Image]:
    image = {name: decoded(value) for name, value in item.items()}
    return Key(image.pop("pk"), image.pop("sk")), image


def _milliseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _MILLISECOND


def _time(milliseconds: int) -> datetime:
    return _EPOCH + milliseconds * _MILLISECOND
