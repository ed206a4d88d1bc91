"""Merge the metrics of all processes, and format them for Prometheus."""

from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from typing import Final

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import InfoMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.gc_collector import GCCollector
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

_ENDED: Final = 0
"""Stands for the process id of all processes that have ended."""


class Exposition:
    """Merges the metrics of all processes into one view, on a server's thread."""

    def __init__(self, directory: Path, version: str, *, one_process: bool) -> None:
        """Read the files in a directory. With `one_process`, include metrics of this process and its interpreter."""
        self._directory: Final = directory
        self._lock: Final = Lock()
        self._registry: Final = CollectorRegistry()
        self._registry.register(_BuildInfo(version))
        MultiProcessCollector(self._registry, str(directory))
        if one_process:
            ProcessCollector(registry=self._registry)
            PlatformCollector(registry=self._registry)
            GCCollector(registry=self._registry)

    def render(self, accept: str) -> tuple[bytes, str]:
        """Return the metrics in the format that an `Accept` header prefers, and its media type."""
        encode, media_type = choose_encoder(accept)
        with self._lock:
            return encode(self._registry), media_type

    def retire(self, process_id: int) -> None:
        """Drop the gauges of an ended process; add its counters to those of all ended processes."""
        with self._lock:
            mark_process_dead(process_id, str(self._directory))
            for kind in ("counter", "histogram"):
                path = self._directory / f"{kind}_{process_id}.db"
                if path.exists():
                    self._add_to_ended(kind, path)
                    path.unlink()

    def _add_to_ended(self, kind: str, path: Path) -> None:
        total = MmapedDict(str(self._directory / f"{kind}_{_ENDED}.db"))
        for key, value, _, _ in MmapedDict.read_all_values_from_file(str(path)):
            total.write_value(key, total.read_value(key)[0] + value, 0.0)
        total.close()


class _BuildInfo:
    def __init__(self, version: str) -> None:
        self._version = version

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily("userport_build", "The version of userport.", value={"version": self._version})
