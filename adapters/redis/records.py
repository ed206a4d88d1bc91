"""Records as they are kept, JSON arrays, to entities and back.

What comes first is what `lua/commit.lua` looks at. Times are milliseconds since 1970.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

import orjson

from domain.post import Post
from domain.user import Role, User
from domain.values import Bio, Body, Email, Name, PostId, Title, UserId, Username, fold

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


def user_record(user: User) -> bytes:
    return orjson.dumps(
        [
            user.version,
            fold(user.name),
            user.email.canonical,
            user.username and user.username.canonical,
            user.id,
            user.email.address,
            user.name,
            user.username and user.username.text,
            user.bio,
            user.role,
            user.active,
            _milliseconds(user.created_at),
            _milliseconds(user.updated_at),
        ]
    )


def user_from_record(record: bytes) -> User:
    (
        version,
        _,
        email_key,
        username_key,
        id_,
        email,
        name,
        username,
        bio,
        role,
        active,
        created_at,
        updated_at,
    ) = orjson.loads(record)
    return User(
        id=UserId(id_),
        email=Email(email, email_key),
        name=Name(name),
        username=None if username is None else Username(username, username_key),
        bio=None if bio is None else Bio(bio),
        role=Role(role),
        active=active,
        version=version,
        created_at=_time(created_at),
        updated_at=_time(updated_at),
    )


def post_record(post: Post) -> bytes:
    return orjson.dumps(
        [
            post.version,
            post.author_id,
            post.id,
            post.title,
            post.body,
            _milliseconds(post.created_at),
            _milliseconds(post.updated_at),
        ]
    )


def post_from_record(record: bytes) -> Post:
    version, author_id, id_, title, body, created_at, updated_at = orjson.loads(record)
    return Post(
        id=PostId(id_),
        author_id=UserId(author_id),
        title=Title(title),
        body=Body(body),
        version=version,
        created_at=_time(created_at),
        updated_at=_time(updated_at),
    )


def _milliseconds(time: datetime) -> int:
    return (time - _EPOCH) // _MILLISECOND


def _time(milliseconds: int) -> datetime:
    return _EPOCH + milliseconds * _MILLISECOND
