import hashlib
from dataclasses import dataclass
from importlib.resources import files
from typing import Final


@dataclass(frozen=True, slots=True)
class Script:
    """A script that the server runs as a whole, with the names of the keys that it takes."""

    source: bytes
    digest: str
    keys: tuple[str, ...]


def _script(name: str, *keys: str) -> Script:
    """Make a script that runs in a prepared place only."""
    return _from_files(("prelude.lua", "prepared.lua", f"{name}.lua"), keys)


def _from_files(names: tuple[str, ...], keys: tuple[str, ...]) -> Script:
    source = b"\n".join((files(__package__) / "lua" / name).read_bytes() for name in names)
    return Script(source, hashlib.sha1(source, usedforsecurity=False).hexdigest(), (MARK, *keys))


MARK: Final = "version"
VERSION: Final = 2
"""What `prepare` writes under `MARK`. A greater number was written by a newer userport, which lets this one go on."""

FIRST_MARK: Final = "schema"
"""The mark of version 1, which would leave the sessions of a user whom it removes: at 0, it does not go on."""

GET_USER: Final = _script("get", "users")
GET_POST: Final = _script("get", "posts")
GET_CREDENTIAL: Final = _script("get", "credentials")
GET_SESSION: Final = _script("get", "sessions")
GET_FAILURES: Final = _script("get", "sign-in-failures")
FIND_BY_EMAILS: Final = _script("find", "emails", "users")
FIND_BY_USERNAMES: Final = _script("find", "usernames", "users")
PAGE_USERS: Final = _script("page", "user-ids", "users")
PAGE_POSTS: Final = _script("page", "post-ids", "posts")
PAGE_SESSIONS: Final = _script("page", "session-ids", "sessions")
PAGE_ACTIVE_ADMINS: Final = _script("page", "active-admins", "users")
COUNT_USERS: Final = _script("count", "user-ids")
COUNT_POSTS: Final = _script("count", "post-ids")
SEARCH: Final = _script("search", "search", "users")
WALK: Final = _script("walk", "user-ids", "users")
EXPIRED_FAILURES: Final = _script("expired", "sign-in-failure-expiries", "sign-in-failures")
COMMIT: Final = _script(
    "commit",
    "users",
    "emails",
    "usernames",
    "posts",
    "credentials",
    "sessions",
    "sign-in-failures",
    "user-ids",
    "search",
    "post-ids",
    "session-ids",
    "active-admins",
    "sign-in-failure-expiries",
)
PREPARE: Final = _from_files(("prelude.lua", "prepare.lua"), (FIRST_MARK, "users", "user-ids", "active-admins"))

KEYS: Final = (*COMMIT.keys, FIRST_MARK)
"""All that there is of a service."""
