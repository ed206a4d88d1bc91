from typing import Final

from sqlalchemy import bindparam, literal, select

from adapters.sql.database import Database
from adapters.sql.lookups import Lookup
from adapters.sql.pages import Pages
from adapters.sql.rows import (
    CREDENTIAL_COLUMNS,
    POST_COLUMNS,
    SESSION_COLUMNS,
    SIGN_IN_FAILURE_COLUMNS,
    USER_COLUMNS,
    post_from_row,
    user_from_row,
)
from adapters.sql.searches import Searches
from adapters.sql.tables import CREDENTIALS, POSTS, SESSIONS, SIGN_IN_FAILURES, USERS
from domain.user import Role

# The role is written out in the statement, or a database could not tell that an index of the admins alone serves it.
_IS_ACTIVE_ADMIN: Final = (USERS.c.role == literal(Role.ADMIN.value, literal_execute=True), USERS.c.active)

_USERS: Final = select(*USER_COLUMNS)
_ACTIVE_ADMINS: Final = _USERS.where(*_IS_ACTIVE_ADMIN)
_POSTS: Final = select(*POST_COLUMNS).where(POSTS.c.author_id == bindparam("owner"))


class Reads:
    """What the repositories of all units of work read by, so that what is asked for together is read together."""

    def __init__(self, database: Database) -> None:
        self.database: Final = database
        self.user_by_id: Final = Lookup(database, USERS.c.id, USER_COLUMNS)
        self.user_by_email: Final = Lookup(database, USERS.c.email_key, USER_COLUMNS)
        self.user_by_username: Final = Lookup(database, USERS.c.username_key, USER_COLUMNS)
        self.users: Final = Pages(database, _USERS, USERS.c.id, user_from_row)
        self.active_admins: Final = Pages(database, _ACTIVE_ADMINS, USERS.c.id, user_from_row)
        self.searches: Final = Searches(database)
        self.post_by_id: Final = Lookup(database, POSTS.c.id, POST_COLUMNS)
        self.posts: Final = Pages(database, _POSTS, POSTS.c.id, post_from_row)
        self.credential_by_user: Final = Lookup(database, CREDENTIALS.c.user_id, CREDENTIAL_COLUMNS)
        self.session_by_id: Final = Lookup(database, SESSIONS.c.id, SESSION_COLUMNS)
        self.sign_in_failures_by_key: Final = Lookup(database, SIGN_IN_FAILURES.c.key, SIGN_IN_FAILURE_COLUMNS)
