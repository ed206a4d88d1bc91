import hashlib
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

VERSION: Final = 1
"""The layout version that `prepare` writes. A greater one, written by a newer userport, is compatible."""

KEYS: Final = ("state", "records", "unique", "index", "owned")
"""All keys of a service, described in `lua/prelude.lua`. Every script takes all of them."""


@dataclass(frozen=True, slots=True)
class Script:
    """A script that the server runs atomically."""

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
