"""The application with metrics, and what a scrape of them gives."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from adapters.metrics.exposition import Exposition
from adapters.metrics.metrics import Metrics
from entrypoints import metrics
from tests.http.service import Service, running
from tests.http.sign_in_helpers import SIGNING_KEY


@dataclass(frozen=True)
class Measured:
    service: Service
    exposition: Exposition

    @property
    def metrics(self) -> Metrics:
        found = self.service.container.metrics()
        assert found is not None
        return found

    @property
    def text(self) -> str:
        ended_requests = self.service.container.ended_requests()
        assert ended_requests is not None
        ended_requests.flush()
        self.metrics.flush()
        return self.exposition.render("")[0].decode()

    @property
    def series(self) -> Mapping[str, float]:
        return series_of(self.text)

    async def wait_for(self, series: str) -> None:
        while series not in self.series:  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.001)


@asynccontextmanager
async def measured(directory: Path, url: str = "memory://", **options: Any) -> AsyncIterator[Measured]:
    """Run the application in token mode, with metrics in a directory; `options` are those of `running`."""
    options = {"hashes": False, "signing_key": SIGNING_KEY, **options}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(metrics.DIRECTORY, str(directory))
        async with running(url, **options) as service:
            app = Measured(service, Exposition(directory, "1.2.3", one_process=False))
            yield app
        app.metrics.close()


def series_of(text: str) -> Mapping[str, float]:
    """Return the value of each series, as it is written, but without the buckets of histograms."""
    lines = [line for line in text.splitlines() if not line.startswith("#") and "_bucket{" not in line]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def labels_by_metric(text: str) -> Mapping[str, set[str]]:
    """Return the names of the metrics in a scrape, as its samples have them, with those of their labels."""
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def metrics_in(expression: str) -> set[str]:
    return set(re.findall(r"\buserport_\w+", expression))
