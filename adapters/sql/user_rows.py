"""Rows to users and back."""

from adapters.sql.engine.statements import Row
from adapters.sql.tables import USERS
from domain.user import Role, User
from domain.values import Bio, Email, Name, UserId, Username, fold

USER_COLUMNS = [column for column in USERS.columns if column is not USERS.c.name_key]

_ROLES = {role.value: role for role in Role}


def user_from_row(row: Row) -> User:
    """Restore a user from `USER_COLUMNS`."""
    (
        id_,
        email,
        email_key,
        name,
        username,
        username_key,
        bio,
        role,
        active,
        version,
        created_at,
        updated_at,
        verified,
    ) = row
    return User(
        id=UserId(id_),
        email=Email(email, email_key),
        name=Name(name),
        username=None if username is None else Username(username, username_key),
        bio=None if bio is None else Bio(bio),
        role=_ROLES[role],
        active=active,
        email_verified=verified,
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
        "email_verified": user.email_verified,
    }
