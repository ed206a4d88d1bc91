"""Counters, histograms and gauges in the files of prometheus_client's multi-process mode.

The library's own instruments take a lock, check the process id and copy a value at each change, which costs several
times as much. These change the same files in place, for the library to merge. Only the event loop's
thread may change them.
"""

import os
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final, Literal, TypeAlias

from prometheus_client.mmap_dict import MmapedDict, mmap_key
from prometheus_client.utils import floatToGoString

FileKind: TypeAlias = Literal["counter", "histogram", "gauge_livesum", "gauge_livemostrecent"]
"""The type of the metrics in a file, and how the values of gauges of several processes are merged."""

_KINDS: Final[Sequence[FileKind]] = ("counter", "histogram", "gauge_livesum", "gauge_livemostrecent")


class ValueFiles:
    """The files with the values of this process; all are opened at once, since the directory may be gone later."""

    def __init__(self, directory: Path) -> None:
        self._files: Final = {kind: ValueFile(str(directory / f"{kind}_{os.getpid()}.db")) for kind in _KINDS}

    def __getitem__(self, kind: FileKind) -> "ValueFile":
        return self._files[kind]

    def close(self) -> None:
        for file in self._files.values():
            file.close()


class ValueFile(MmapedDict):
    """A file of values, each of which is changed in place."""

    def __init__(self, path: str) -> None:
        super().__init__(path)  # type: ignore[no-untyped-call]
        self._cells: list[memoryview[float]] = []

    def cell(self, key: str) -> "memoryview[float]":
        """Return the memory of a value and its time, in the file. The value is exported from now on."""
        # A file that becomes too small is mapped again. Earlier cells stay valid: both mappings share their pages.
        self.read_value(key)  # type: ignore[no-untyped-call]
        position = self._positions[key]
        cell = memoryview(self._m)[position : position + 16].cast("d")
        self._cells.append(cell)
        return cell

    def close(self) -> None:
        for cell in self._cells:
            cell.release()
        super().close()  # type: ignore[no-untyped-call]


class Value:
    """One value in a file. It is exported from the start."""

    __slots__ = ("_cell",)

    def __init__(self, file: ValueFile, key: str) -> None:
        self._cell: Final = file.cell(key)

    def add(self, amount: float = 1.0) -> None:
        self._cell[0] += amount

    def set(self, value: float) -> None:
        self._cell[0] = value
        self._cell[1] = time.time()


class Counters:
    """A counter with labels."""

    def __init__(self, files: ValueFiles, name: str, documentation: str, labels: Sequence[str]) -> None:
        self._file: Final = files["counter"]
        self._name: Final = name.removesuffix("_total")
        self._documentation: Final = documentation
        self._labels: Final = list(labels)

    def child(self, *values: str) -> Value:
        key = mmap_key(self._name, f"{self._name}_total", self._labels, [*values], self._documentation)
        return Value(self._file, key)


class Gauges:
    """A gauge with labels: the sum over the live processes, or the most recently written value."""

    def __init__(
        self,
        files: ValueFiles,
        name: str,
        documentation: str,
        labels: Sequence[str] = (),
        *,
        kind: Literal["gauge_livesum", "gauge_livemostrecent"],
    ) -> None:
        self._file: Final = files[kind]
        self._name: Final = name
        self._documentation: Final = documentation
        self._labels: Final = list(labels)

    def child(self, *values: str) -> Value:
        return Value(self._file, mmap_key(self._name, self._name, self._labels, [*values], self._documentation))


class Histogram:
    """A histogram for one combination of labels."""

    __slots__ = ("_bounds", "_buckets", "_sum")

    def __init__(
        self, total: "memoryview[float]", bounds: Sequence[float], buckets: Sequence["memoryview[float]"]
    ) -> None:
        self._sum: Final = total
        self._bounds: Final = bounds
        self._buckets: Final = buckets

    def observe(self, amounts: Sequence[float]) -> None:
        """Count each amount, in little time when there are many."""
        for bucket, number in Counter(map(partial(bisect_left, self._bounds), amounts)).items():
            self._buckets[bucket][0] += number
        self._sum[0] += sum(amounts)


class Histograms:
    """A histogram with labels."""

    def __init__(
        self, files: ValueFiles, name: str, documentation: str, labels: Sequence[str], *, bounds: Sequence[float]
    ) -> None:
        """`bounds` are the inclusive upper bounds of all buckets but the last, which has none."""
        self._file: Final = files["histogram"]
        self._name: Final = name
        self._documentation: Final = documentation
        self._labels: Final = list(labels)
        self._bounds: Final = bounds

    def child(self, *values: str) -> Histogram:
        def bucket(bound: float) -> "memoryview[float]":
            return self._cell("_bucket", [*self._labels, "le"], [*values, floatToGoString(bound)])

        buckets = [bucket(bound) for bound in (*self._bounds, float("inf"))]
        return Histogram(self._cell("_sum", self._labels, [*values]), self._bounds, buckets)

    def _cell(self, suffix: str, labels: list[str], values: list[str]) -> "memoryview[float]":
        return self._file.cell(mmap_key(self._name, f"{self._name}{suffix}", labels, values, self._documentation))
