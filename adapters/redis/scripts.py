import hashlib
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

VERSION: Final = 1
"""Of the layout, which `prepare` writes. A greater one was written by a newer userport, which lets this one go on."""

KEYS: Final = ("state", "records", "unique", "index", "owned")
"""All that there is of a service; `lua/prelude.lua` says what is in them. Every script takes all of them."""


@dataclass(frozen=True, slots=True)
class Script:
    """A script that the server runs as a whole."""

    source: bytes
    digest: str


def _script(*names: str) -> Script:
    source = b"\n".join((files(__package__) / "lua" / f"{name}.lua").read_bytes() for name in ("prelude", *names))
    return Script(source, hashlib.sha1(source, usedforsecurity=False).hexdigest())


PREPARE: Final = _script("prepare")
GET: Final = _script("prepared", "get")
FIND: Final = _script("prepared", "find")
PAGE: Final = _script("prepared", "page")
COUNT: Final = _script("prepared", "count")
SEARCH: Final = _script("prepared", "search")
WALK: Final = _script("prepared", "walk")
COMMIT: Final = _script("prepared", "changes", "commit")
PURGE: Final = _script("prepared", "changes", "purge")
