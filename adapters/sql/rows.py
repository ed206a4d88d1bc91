"""Rows to entities and back."""

from typing import Any

from sqlalchemy import Row

from adapters.sql.tables import POSTS, USERS
from domain.post import Post
from domain.user import Role, User
from domain.values import Bio, Body, Email, Name, PostId, Title, UserId, Username, fold

USER_COLUMNS = [
    USERS.c[name]
    for name in (
        "id",
        "email",
        "email_key",
        "name",
        "username",
        "username_key",
        "bio",
        "role",
        "active",
        "version",
        "created_at",
        "updated_at",
    )
]
POST_COLUMNS = [POSTS.c[name] for name in ("id", "author_id", "title", "body", "version", "created_at", "updated_at")]


def user_from_row(row: Row[*tuple[Any, ...]]) -> User:
    """Restore a user from `USER_COLUMNS`."""
    id_, email, email_key, name, username, username_key, bio, role, active, version, created_at, updated_at = row
    return User(
        id=UserId(id_),
        email=Email(email, email_key),
        name=Name(name),
        username=None if username is None else Username(username, username_key),
        bio=None if bio is None else Bio(bio),
        role=Role(role),
        active=active,
        version=version,
        created_at=created_at,
        updated_at=updated_at,
    )


def user_values(user: User) -> dict[str, object]:
    return {
        "id": user.id,
        "email": user.email.address,
        "email_key": user.email.canonical,
        "name": str(user.name),
        "name_key": fold(user.name),
        "username": user.username and user.username.text,
        "username_key": user.username and user.username.canonical,
        "bio": None if user.bio is None else str(user.bio),
        "role": user.role.value,
        "active": user.active,
        "version": user.version,
        "created_at": user.created_at,
        "updated_at": user.updated_at,
    }


def post_from_row(row: Row[*tuple[Any, ...]]) -> Post:
    """Restore a post from `POST_COLUMNS`."""
    id_, author_id, title, body, version, created_at, updated_at = row
    return Post(
        id=PostId(id_),
        author_id=UserId(author_id),
        title=Title(title),
        body=Body(body),
        version=version,
        created_at=created_at,
        updated_at=updated_at,
    )


def post_values(post: Post) -> dict[str, object]:
    return {
        "id": post.id,
        "author_id": post.author_id,
        "title": str(post.title),
        "body": str(post.body),
        "version": post.version,
        "created_at": post.created_at,
        "updated_at": post.updated_at,
    }
