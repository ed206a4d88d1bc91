"""The tables, and how a record of the domain becomes a row and is restored from one."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from domain.post import Post
from domain.user import Role, User
from domain.values import Bio, Body, Email, Name, PostId, Title, UserId, Username, fold
from pony import orm

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


def define_entities(database: Any) -> None:
    """Define the tables, as attributes of a Pony database.

    Pony strips texts, and takes an empty one for None, unless it is told otherwise. Times are milliseconds.
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
        role = orm.Required(str)
        active = orm.Required(bool)
        version = orm.Required(int, size=64)
        created_at = orm.Required(int, size=64)
        updated_at = orm.Required(int, size=64)
        posts = orm.Set("Post", cascade_delete=True)
        credential = orm.Optional("Credential", cascade_delete=True)

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
        "created_at": _milliseconds(user.created_at),
        "updated_at": _milliseconds(user.updated_at),
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
        "created_at": _milliseconds(post.created_at),
        "updated_at": _milliseconds(post.updated_at),
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


def _milliseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _MILLISECOND


def _moment(milliseconds: int) -> datetime:
    return _EPOCH + milliseconds * _MILLISECOND
