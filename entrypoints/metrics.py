"""Add metrics to a process that was started with a directory for them.

Other processes do not import the library.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from application.jobs.runner import Outcome
from application.ports import Clock, JobHandler
from application.sign_in.service import SignInService
from domain.storage import Storage

if TYPE_CHECKING:
    from adapters.metrics.metrics import Metrics
    from adapters.metrics.sampling import Sampler

DIRECTORY: Final = "_USERPORT_METRICS_DIRECTORY"
"""The variable in which the process that serves metrics names their directory to its workers."""


def open_metrics() -> "Metrics | None":
    """Return the metrics of this process; None if it has no directory for them."""
    directory = os.environ.get(DIRECTORY)
    if directory is None:
        return None
    from adapters.metrics.metrics import Metrics

    return Metrics(Path(directory))


def measure_storage(storage: Storage, metrics: "Metrics | None") -> Storage:
    """Wrap a storage to count and time its calls; without metrics, return it as it is."""
    if metrics is None:
        return storage
    from adapters.metrics.storage import MeasuredStorage

    return MeasuredStorage(storage, metrics)


def measure_sign_ins(sign_ins: SignInService, metrics: "Metrics | None") -> SignInService:
    """Wrap a service to count the outcomes of its calls; without metrics, return it as it is."""
    if metrics is None:
        return sign_ins
    from adapters.metrics.sign_ins import MeasuredSignIns

    return cast("SignInService", MeasuredSignIns(sign_ins, metrics))  # it has the same methods


def job_counter(handlers: Mapping[str, JobHandler], metrics: "Metrics | None") -> Callable[[Outcome], None] | None:
    """Return a function that counts ended attempts of jobs; None without metrics."""
    return None if metrics is None else metrics.job_counter(handlers)


def setting_gauges(
    store: Storage, storage: Storage, clock: Clock, metrics: "Metrics | None"
) -> AbstractAsyncContextManager[None]:
    """Return a context in which gauges are set at intervals."""
    if metrics is None:
        return nullcontext()
    from adapters.metrics.sampling import Sampler

    return _running(Sampler(store, storage, clock, metrics), metrics)


@asynccontextmanager
async def _running(sampler: "Sampler", metrics: "Metrics") -> AsyncIterator[None]:
    task = asyncio.create_task(sampler.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        metrics.flush()
