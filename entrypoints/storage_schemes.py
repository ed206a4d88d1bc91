"""The storages that are installed: packages register theirs in the entry-point group `userport.storages`."""

from collections.abc import Sequence
from functools import cache
from importlib.metadata import EntryPoints, entry_points
from typing import Final

_GROUP: Final = "userport.storages"


@cache
def storage_offers() -> EntryPoints:
    return entry_points(group=_GROUP)


def schemes() -> Sequence[str]:
    """Return the registered schemes, whether or not their drivers are installed."""
    return sorted(storage_offers().names)
