"""Alembic's migrations, and which of them there are, which can be told without Alembic: it is slow to import."""

import re
from collections.abc import Set
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

_REVISION: Final = re.compile(r"""^(revision|down_revision)\b.*=\s*["'](\w+)["']""", re.MULTILINE)


class Revisions(NamedTuple):
    known: Set[str]
    heads: Set[str]
    """Those that no other one follows."""


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

    A schema with a revision that is unknown here was made by a newer userport, which sees to it that this one can go on
    with it while servers are replaced one after another.
    """
    known, heads = revisions()
    return applied <= known and not heads <= applied
