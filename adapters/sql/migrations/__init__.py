"""Alembic's migrations, and their revisions, which are known without importing Alembic (it is slow)."""

import re
from collections.abc import Set
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

_REVISION: Final = re.compile(r"""^(revision|down_revision)\b.*=\s*["'](\w+)["']""", re.MULTILINE)


class Revisions(NamedTuple):
    """The ids of all revisions in this package, and of the newest ones."""

    known: Set[str]
    heads: Set[str]
    """The revisions that no other revision follows."""


@cache
def revisions() -> Revisions:
    """Return the revisions in this package."""
    found = [
        dict(_REVISION.findall(file.read_text())) for file in (Path(__file__).parent / "versions").glob("[0-9]*.py")
    ]
    known = {names["revision"] for names in found}
    return Revisions(known, known - {names.get("down_revision") for names in found})


def is_behind(applied: Set[str]) -> bool:
    """Return whether a schema with these revisions lacks the newest one.

    A schema with an unknown revision was made by a newer userport and is compatible, so servers can be replaced one by
    one.
    """
    known, heads = revisions()
    return applied <= known and not heads <= applied
