"""Counters, histograms and gauges in the files of prometheus_client's multi-process mode.

The library's own instruments take a lock, look at the process id and copy a value for each change, which would cost a
request three times as much. These write the same files, for the library to merge. Only the event loop's thread may
change them.
"""

import os
import time
from bisect import bisect_left
from collections.abc import Sequence
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
        self._files: Final = {kind: MmapedDict(str(directory / f"{kind}_{os.getpid()}.db")) for kind in _KINDS}

    def __getitem__(self, kind: FileKind) -> MmapedDict:
        return self._files[kind]

    def close(self) -> None:
        for file in self._files.values():
            file.close()


class Value:
    """One value in a file. It is exported from the start."""

    __slots__ = ("_file", "_key", "_value")

    def __init__(self, file: MmapedDict, key: str) -> None:
        self._file: Final = file
        self._key: Final = key
        self._value: float = file.read_value(key)[0]

    def add(self, amount: float = 1.0) -> None:
        self._value += amount
        self._file.write_value(self._key, self._value, 0.0)

    def set(self, value: float) -> None:
        self._file.write_value(self._key, value, time.time())


class Counters:
    """A counter with labels."""

    def __init__(self, files: ValueFiles, name: str, documentation: str, labels: Sequence[str]) -> None:
        self._file: Final = files["counter"]
        self._name: Final = name.removesuffix("_total")
        self._documentation: Final = documentation
        self._labels: Final = list(labels)

    def child(self, *values: str) -> Value:
        name = f"{self._name}_total"
        return Value(self._file, mmap_key(self._name, name, self._labels, [*values], self._documentation))


class Gauges:
    """A gauge with labels, in the sum over the live processes or as the most recent of them wrote it."""

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

    def __init__(self, total: Value, bounds: Sequence[float], buckets: Sequence[Value]) -> None:
        self._sum: Final = total
        self._bounds: Final = bounds
        self._buckets: Final = buckets

    def observe(self, amount: float) -> None:
        self._buckets[bisect_left(self._bounds, amount)].add()
        self._sum.add(amount)


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
        def bucket(bound: float) -> Value:
            return self._value("_bucket", [*self._labels, "le"], [*values, floatToGoString(bound)])

        buckets = [bucket(bound) for bound in (*self._bounds, float("inf"))]
        return Histogram(self._value("_sum", self._labels, [*values]), self._bounds, buckets)

    def _value(self, suffix: str, labels: list[str], values: list[str]) -> Value:
        key = mmap_key(self._name, f"{self._name}{suffix}", labels, values, self._documentation)
        return Value(self._file, key)
