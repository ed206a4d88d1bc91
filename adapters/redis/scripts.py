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
    folder = files(__package__) / "lua"
    source = b"\n".join((folder / file).read_bytes() for file in ("prelude.lua", f"{name}.lua"))
    return Script(source, hashlib.sha1(source, usedforsecurity=False).hexdigest(), (MARK, *keys))


MARK: Final = "schema"
VERSION: Final = 1
"""What `prepare` writes under `MARK`. A greater number was written by a newer userport, which lets this one go on."""

GET_USER: Final = _script("get", "users")
GET_POST: Final = _script("get", "posts")
GET_CREDENTIAL: Final = _script("get", "credentials")
FIND_BY_EMAILS: Final = _script("find", "emails", "users")
FIND_BY_USERNAMES: Final = _script("find", "usernames", "users")
PAGE_USERS: Final = _script("page", "user-ids", "users")
PAGE_POSTS: Final = _script("page", "post-ids", "posts")
COUNT_USERS: Final = _script("count", "user-ids")
COUNT_POSTS: Final = _script("count", "post-ids")
SEARCH: Final = _script("search", "search", "users")
WALK: Final = _script("walk", "user-ids", "users")
COMMIT: Final = _script(
    "commit", "users", "emails", "usernames", "posts", "credentials", "user-ids", "search", "post-ids"
)

KEYS: Final = COMMIT.keys
"""All that there is of a service."""
