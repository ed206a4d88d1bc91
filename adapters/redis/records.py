"""Records as they are kept, JSON arrays, to entities and back.

What `lua/prelude.lua` names has its place for good. Times are milliseconds since 1970.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

import orjson

from domain.post import Post
from domain.session import Session
from domain.sign_in_failures import SignInFailures
from domain.user import Role, User
from domain.values import Bio, Body, Email, Name, PostId, SessionId, Title, UserId, Username, fold

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
            milliseconds(user.created_at),
            milliseconds(user.updated_at),
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
            milliseconds(post.created_at),
            milliseconds(post.updated_at),
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


def session_record(session: Session) -> bytes:
    return orjson.dumps(
        [
            session.version,
            session.user_id,
            session.id,
            session.user_agent,
            session.place,
            session.token_digest,
            session.salt,
            [milliseconds(moment) for moment in session.refreshed_at],
            milliseconds(session.created_at),
            milliseconds(session.last_used_at),
            milliseconds(session.expires_at),
        ]
    )


def session_from_record(record: bytes) -> Session:
    (
        version,
        user_id,
        id_,
        user_agent,
        place,
        token_digest,
        salt,
        refreshed_at,
        created_at,
        last_used_at,
        expires_at,
    ) = orjson.loads(record)
    return Session(
        id=SessionId(id_),
        user_id=UserId(user_id),
        user_agent=user_agent,
        place=place,
        token_digest=token_digest,
        salt=salt,
        refreshed_at=tuple(map(_time, refreshed_at)),
        version=version,
        created_at=_time(created_at),
        last_used_at=_time(last_used_at),
        expires_at=_time(expires_at),
    )


def failures_record(failures: SignInFailures) -> bytes:
    return orjson.dumps(
        [
            failures.version,
            milliseconds(failures.expires_at),
            failures.key,
            [milliseconds(moment) for moment in failures.moments],
        ]
    )


def failures_from_record(record: bytes) -> SignInFailures:
    version, expires_at, key, moments = orjson.loads(record)
    return SignInFailures(key=key, moments=tuple(map(_time, moments)), version=version, expires_at=_time(expires_at))


def milliseconds(time: datetime) -> int:
    return (time - _EPOCH) // _MILLISECOND


def _time(milliseconds: int) -> datetime:
    return _EPOCH + milliseconds * _MILLISECOND
