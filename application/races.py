"""Changing a record that others may be changing too."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import Final, TypeAlias, TypeVar
from weakref import WeakValueDictionary

from domain.errors import StaleVersion, TooBusy, VersionMismatch

T = TypeVar("T")

Expected: TypeAlias = Collection[int] | None
"""The versions that a caller accepts a record to be at before it is changed; None for any."""

# Every round that is lost here was won by another process.
_MOST_ROUNDS: Final = 100


def check_version(version: int, expected: Expected) -> None:
    """Raise `VersionMismatch` unless `version` is one of those expected."""
    if expected is not None and version not in expected:
        raise VersionMismatch


class Races:
    """Repeats a change for as long as other writers are faster, so that one which names no version loses nothing."""

    def __init__(self) -> None:
        self._losers: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def until_won(self, record_id: str, attempt: Callable[[], Awaitable[T]]) -> T:
        """Run `attempt`, which reads, changes and commits, until it has not lost to another writer.

        The first attempt waits for nobody. Those of this process who lost go on one after another: if all of a
        hundred tried again at once, each round would cost a hundred attempts and let one through. Raises `TooBusy`
        when there is no end to it.
        """
        try:
            return await attempt()
        except StaleVersion:
            turn = self._losers.setdefault(record_id, asyncio.Lock())
        async with turn:
            for _ in range(_MOST_ROUNDS):
                try:
                    return await attempt()
                except StaleVersion:
                    continue
        raise TooBusy
