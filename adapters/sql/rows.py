"""Rows to entities and back."""

from adapters.sql.driver_statements import Row
from adapters.sql.tables import CREDENTIALS, POSTS, SESSIONS, SIGN_IN_FAILURES, USERS
from domain.credential import Credential
from domain.post import Post
from domain.session import Session
from domain.sign_in_failures import SignInFailures
from domain.user import Role, User
from domain.values import Bio, Body, Email, Name, PostId, SessionId, Title, UserId, Username, fold

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
SESSION_COLUMNS = [
    SESSIONS.c[name]
    for name in (
        "id",
        "user_id",
        "user_agent",
        "place",
        "token_digest",
        "salt",
        "refreshed_at",
        "version",
        "created_at",
        "last_used_at",
        "expires_at",
    )
]
CREDENTIAL_COLUMNS = [CREDENTIALS.c.user_id, CREDENTIALS.c.password_hash]
SIGN_IN_FAILURE_COLUMNS = [SIGN_IN_FAILURES.c[name] for name in ("key", "moments", "version", "expires_at")]

_ROLES = {role.value: role for role in Role}


def user_from_row(row: Row) -> User:
    """Restore a user from `USER_COLUMNS`."""
    id_, email, email_key, name, username, username_key, bio, role, active, version, created_at, updated_at = row
    return User(
        id=UserId(id_),
        email=Email(email, email_key),
        name=Name(name),
        username=None if username is None else Username(username, username_key),
        bio=None if bio is None else Bio(bio),
        role=_ROLES[role],
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


def post_from_row(row: Row) -> Post:
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


def credential_from_row(row: Row) -> Credential:
    """Restore a credential from `CREDENTIAL_COLUMNS`."""
    user_id, password_hash = row
    return Credential(UserId(user_id), password_hash)


def session_from_row(row: Row) -> Session:
    """Restore a session from `SESSION_COLUMNS`."""
    (
        id_,
        user_id,
        user_agent,
        place,
        token_digest,
        salt,
        refreshed_at,
        version,
        created_at,
        last_used_at,
        expires_at,
    ) = row
    return Session(
        id=SessionId(id_),
        user_id=UserId(user_id),
        user_agent=user_agent,
        place=place,
        token_digest=token_digest,
        salt=salt,
        refreshed_at=refreshed_at,
        version=version,
        created_at=created_at,
        last_used_at=last_used_at,
        expires_at=expires_at,
    )


def session_values(session: Session) -> dict[str, object]:
    return {
        "id": session.id,
        "user_id": session.user_id,
        "user_agent": session.user_agent,
        "place": session.place,
        "token_digest": session.token_digest,
        "salt": session.salt,
        "refreshed_at": session.refreshed_at,
        "version": session.version,
        "created_at": session.created_at,
        "last_used_at": session.last_used_at,
        "expires_at": session.expires_at,
    }


def sign_in_failures_from_row(row: Row) -> SignInFailures:
    """Restore failures from `SIGN_IN_FAILURE_COLUMNS`."""
    key, moments, version, expires_at = row
    return SignInFailures(key=key, moments=moments, version=version, expires_at=expires_at)


def sign_in_failures_values(failures: SignInFailures) -> dict[str, object]:
    return {
        "key": failures.key,
        "moments": failures.moments,
        "version": failures.version,
        "expires_at": failures.expires_at,
    }
