from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Collection, Iterator
from itertools import islice
from typing import Any, Generic, TypeAlias, TypeVar

K = TypeVar("K", bound=Any)  # any ordered type: texts or tuples
V = TypeVar("V")

Journal: TypeAlias = list[Callable[[], None]]
"""Callbacks that undo the changes of a commit, to be called in reverse order."""


class Table(Generic[K, V]):
    """A dictionary ordered by key, whose changes can be undone."""

    def __init__(self) -> None:
        self._rows: dict[K, V] = {}
        self._keys: list[K] = []

    def get(self, key: K) -> V | None:
        return self._rows.get(key)

    def __contains__(self, key: object) -> bool:
        return key in self._rows

    def __len__(self) -> int:
        return len(self._rows)

    def put(self, key: K, row: V, journal: Journal) -> None:
        """Add a row, whose key is new."""
        insort(self._keys, key)
        self._rows[key] = row
        journal.append(lambda: self._drop(key))

    def delete(self, key: K, journal: Journal) -> None:
        before = self._rows[key]
        self._drop(key)
        journal.append(lambda: self.put(key, before, []))

    def delete_all(self, keys: Collection[K], journal: Journal) -> None:
        """Delete many rows in one pass over the table."""
        rows_before, keys_before = self._rows, self._keys
        self._rows = {key: row for key, row in rows_before.items() if key not in keys}
        self._keys = [key for key in keys_before if key not in keys]

        def restore() -> None:
            self._rows, self._keys = rows_before, keys_before

        journal.append(restore)

    def walk(self, after: K | None = None, *, descending: bool = False) -> Iterator[V]:
        """Iterate over the rows behind `after`, or over all rows."""
        if descending:
            end = len(self._keys) if after is None else bisect_left(self._keys, after)
            return (self._rows[self._keys[position]] for position in range(end - 1, -1, -1))
        start = 0 if after is None else bisect_right(self._keys, after)
        return (self._rows[key] for key in islice(self._keys, start, None))

    def _drop(self, key: K) -> None:
        del self._rows[key]
        del self._keys[bisect_left(self._keys, key)]
