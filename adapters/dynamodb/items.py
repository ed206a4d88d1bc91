"""Where each record lies in the table, and how it is written there.

    users          <user id>                  the user, or what is left of one whose belongings are being purged
    emails         <canonical email>          owner
    usernames      <canonical username>       owner
    names          <folded name> NUL <id>     owner
    credential#<user id>  credential          the credential
    posts#<author id>     <post id>           the post
    post#<post id>        author              owner
    sessions#<user id>    <session id>        the session
    session#<session id>  user                owner
    admins         <user id>                  owner: a user who is an admin, and active
    failures#<key>        failures            the failed sign-ins of a key
    expiries       <expires_at>#<key>         owner: the key whose failed sign-ins expire then
    removals       <user id>                  owner: a user whose belongings are being purged
    transactions   <id>                       a commit of several transactions; see `intents`
    transaction#<id>      <number>            the keys that a part of it touches
    layout         version                    the version of this very list that the table is prepared for

Records carry `rev`, the id of the commit that wrote them last.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple, TypeAlias

from domain.credential import Credential
from domain.post import Post
from domain.session import Session
from domain.sign_in_failures import SignInFailures
from domain.user import Role, User
from domain.values import Bio, Body, Email, Name, PostId, SearchPrefix, SessionId, Title, UserId, Username, fold

Image: TypeAlias = Mapping[str, Any]
"""The attributes of an item but for its key: texts, numbers, truth values, None, and lists and mappings of them."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_TIME_DIGITS: Final = 15  # of milliseconds since 1970, as many as any year has that Python knows
_LONGEST_SORT_KEY: Final = 1_024  # bytes, which no email and no name exceeds; what is searched for may


class Key(NamedTuple):
    pk: str
    sk: str


LAYOUT_KEY: Final = Key("layout", "version")
LAYOUT_VERSION: Final = 2
"""A table of version 1 has no such item, no sessions, no failed sign-ins, and nothing that leads to its admins."""
ADMINS: Final = "admins"
EXPIRIES: Final = "expiries"


class Belonging(NamedTuple):
    """Where something lies that goes with its user: listed user by user, and found by its id through a pointer."""

    record: Key
    pointer: Key


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


def post_keys(author_id: str, post_id: str) -> Belonging:
    return Belonging(Key(posts_of(author_id), post_id), Key(f"post#{post_id}", "author"))


def sessions_of(user_id: str) -> str:
    return f"sessions#{user_id}"


def session_keys(user_id: str, session_id: str) -> Belonging:
    return Belonging(Key(sessions_of(user_id), session_id), Key(f"session#{session_id}", "user"))


def belongings_of(user_id: str) -> Mapping[str, Callable[[str, str], Belonging]]:
    """Name the lists of all that goes with a user, and how the keys of what is in them are made."""
    return {posts_of(user_id): post_keys, sessions_of(user_id): session_keys}


def admin_key(user_id: str) -> Key:
    return Key(ADMINS, user_id)


def failures_key(key: str) -> Key:
    return Key(f"failures#{key}", "failures")


def expiry_key(image: Image, key: str) -> Key:
    return Key(EXPIRIES, f"{image['expires_at']:0{_TIME_DIGITS}}#{key}")


def end_of_expiries(moment: datetime) -> str:
    """Make the sort key before which all lies that has expired."""
    return f"{_milliseconds(moment) + 1:0{_TIME_DIGITS}}"


def removal_key(user_id: str) -> Key:
    return Key("removals", user_id)


def name_key(image: Image, user_id: str) -> Key:
    return Key("names", f"{fold(image['name'])}\0{user_id}")


def search_ranges(prefix: SearchPrefix) -> Sequence[Key]:
    """Name the ranges, by partition and beginning, in which the owners of a prefix are."""
    fits = len(prefix.encode()) <= _LONGEST_SORT_KEY
    return [Key(partition, prefix) for partition in ("names", "emails", "usernames")] if fits else []


def is_user(image: Image | None) -> bool:
    """Tell a user from one who is removed, with belongings that are still being purged."""
    return image is not None and "version" in image


def is_active_admin(image: Image) -> bool:
    return is_user(image) and bool(image["active"]) and image["role"] == Role.ADMIN


def is_listed(key: Key) -> bool:
    """Tell a user, a post or a session, of which lists are made."""
    return key.pk.startswith(("users", "posts#", "sessions#"))


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


def session_image(session: Session, rev: str) -> Image:
    values = {
        "rev": rev,
        "user_agent": session.user_agent,
        "place": session.place,
        "token_digest": session.token_digest,
        "salt": session.salt,
        "refreshed_at": [_milliseconds(moment) for moment in session.refreshed_at],
        "version": session.version,
        "created_at": _milliseconds(session.created_at),
        "last_used_at": _milliseconds(session.last_used_at),
        "expires_at": _milliseconds(session.expires_at),
    }
    return {name: value for name, value in values.items() if value is not None}


def session_from(user_id: str, session_id: str, image: Image) -> Session:
    return Session(
        id=SessionId(session_id),
        user_id=UserId(user_id),
        user_agent=image.get("user_agent"),
        place=image.get("place"),
        token_digest=image["token_digest"],
        salt=image["salt"],
        refreshed_at=tuple(map(_time, image["refreshed_at"])),
        version=image["version"],
        created_at=_time(image["created_at"]),
        last_used_at=_time(image["last_used_at"]),
        expires_at=_time(image["expires_at"]),
    )


def failures_image(failures: SignInFailures, rev: str) -> Image:
    return {
        "rev": rev,
        "moments": [_milliseconds(moment) for moment in failures.moments],
        "version": failures.version,
        "expires_at": _milliseconds(failures.expires_at),
    }


def failures_from(key: str, image: Image) -> SignInFailures:
    return SignInFailures(
        key=key,
        moments=tuple(map(_time, image["moments"])),
        version=image["version"],
        expires_at=_time(image["expires_at"]),
    )


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
