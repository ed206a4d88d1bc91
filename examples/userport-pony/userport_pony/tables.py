"""The tables, and how a record of the domain becomes a row and is restored from one."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from domain.post import Post
from domain.session import Session
from domain.sign_in_failures import SignInFailures
from domain.user import Role, User
from domain.values import Bio, Body, Email, Name, PostId, SessionId, Title, UserId, Username, fold
from pony import orm

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


def define_entities(database: Any) -> None:
    """Define the tables, as attributes of a Pony database.

    Pony strips texts, and takes an empty one for None, unless it is told otherwise. Times are milliseconds, several of
    them a JSON list.
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
        version = orm.Required(int, size=64)
        created_at = orm.Required(int, size=64)
        updated_at = orm.Required(int, size=64)
        posts = orm.Set("Post", cascade_delete=True)
        credential = orm.Optional("Credential", cascade_delete=True)
        sessions = orm.Set("Session", cascade_delete=True)

    class Post(database.Entity):
        _table_ = "posts"
        id = orm.PrimaryKey(str, autostrip=False)
        author = orm.Required(User, column="author_id")
        title = orm.Required(str, autostrip=False)
        body = orm.Required(str, autostrip=False)
        version = orm.Required(int, size=64)
        created_at = orm.Required(int, size=64)
        updated_at = orm.Required(int, size=64)

    class Credential(database.Entity):
        _table_ = "credentials"
        user = orm.PrimaryKey(User, column="user_id")
        password_hash = orm.Required(str, autostrip=False)

    class Session(database.Entity):
        _table_ = "sessions"
        id = orm.PrimaryKey(str, autostrip=False)
        user = orm.Required(User, column="user_id")
        user_agent = orm.Optional(str, autostrip=False, nullable=True)
        place = orm.Optional(str, autostrip=False, nullable=True)
        token_digest = orm.Required(str)
        salt = orm.Required(str)
        refreshed_at = orm.Required(str)
        version = orm.Required(int, size=64)
        created_at = orm.Required(int, size=64)
        last_used_at = orm.Required(int, size=64)
        expires_at = orm.Required(int, size=64)

    class SignInFailures(database.Entity):
        _table_ = "sign_in_failures"
        key = orm.PrimaryKey(str, autostrip=False)
        moments = orm.Required(str)
        version = orm.Required(int, size=64)
        expires_at = orm.Required(int, size=64, index=True)


def user_values(user: User) -> dict[str, object]:
    return {
        "id": user.id,
        "email": user.email.address,
        "email_key": user.email.canonical,
        "name": user.name,
        "name_key": fold(user.name),
        "username": user.username and user.username.text,
        "username_key": user.username and user.username.canonical,
        "bio": user.bio,
        "role": user.role,
        "active": user.active,
        "version": user.version,
        "created_at": milliseconds(user.created_at),
        "updated_at": milliseconds(user.updated_at),
    }


def user_from(row: Any) -> User:
    return User(
        id=UserId(row.id),
        email=Email(row.email, row.email_key),
        name=Name(row.name),
        username=None if row.username is None else Username(row.username, row.username_key),
        bio=None if row.bio is None else Bio(row.bio),
        role=Role(row.role),
        active=row.active,
        version=row.version,
        created_at=_moment(row.created_at),
        updated_at=_moment(row.updated_at),
    )


def post_values(post: Post) -> dict[str, object]:
    return {
        "id": post.id,
        "author_id": post.author_id,
        "title": post.title,
        "body": post.body,
        "version": post.version,
        "created_at": milliseconds(post.created_at),
        "updated_at": milliseconds(post.updated_at),
    }


def post_from(row: Any) -> Post:
    return Post(
        id=PostId(row.id),
        author_id=UserId(row.author.id),
        title=Title(row.title),
        body=Body(row.body),
        version=row.version,
        created_at=_moment(row.created_at),
        updated_at=_moment(row.updated_at),
    )


def session_values(session: Session) -> dict[str, object]:
    return {
        "id": session.id,
        "user_id": session.user_id,
        "user_agent": session.user_agent,
        "place": session.place,
        "token_digest": session.token_digest,
        "salt": session.salt,
        "refreshed_at": _list(session.refreshed_at),
        "version": session.version,
        "created_at": milliseconds(session.created_at),
        "last_used_at": milliseconds(session.last_used_at),
        "expires_at": milliseconds(session.expires_at),
    }


def session_from(row: Any) -> Session:
    return Session(
        id=SessionId(row.id),
        user_id=UserId(row.user.id),
        user_agent=row.user_agent,
        place=row.place,
        token_digest=row.token_digest,
        salt=row.salt,
        refreshed_at=_moments(row.refreshed_at),
        version=row.version,
        created_at=_moment(row.created_at),
        last_used_at=_moment(row.last_used_at),
        expires_at=_moment(row.expires_at),
    )


def failures_values(failures: SignInFailures) -> dict[str, object]:
    return {
        "key": failures.key,
        "moments": _list(failures.moments),
        "version": failures.version,
        "expires_at": milliseconds(failures.expires_at),
    }


def failures_from(row: Any) -> SignInFailures:
    return SignInFailures(
        key=row.key,
        moments=_moments(row.moments),
        version=row.version,
        expires_at=_moment(row.expires_at),
    )


def milliseconds(moment: datetime) -> int:
    """Count them since 1970."""
    return (moment - _EPOCH) // _MILLISECOND


def _moment(number: int) -> datetime:
    return _EPOCH + number * _MILLISECOND


def _list(moments: Sequence[datetime]) -> str:
    return json.dumps([milliseconds(moment) for moment in moments])


def _moments(text: str) -> tuple[datetime, ...]:
    return tuple(_moment(number) for number in json.loads(text))
