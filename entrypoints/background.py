"""Run background work in a process of the service."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from entrypoints.container import Container


@asynccontextmanager
async def watched_keys(container: Container) -> AsyncIterator[None]:
    """Replace the signing keys inside the context when their file changes."""
    if not container.settings().asks_for_tokens:
        yield
        return
    watching = asyncio.create_task(container.key_reload().watch())
    try:
        yield
    finally:
        watching.cancel()


@asynccontextmanager
async def background_work(container: Container) -> AsyncIterator[None]:
    """Run jobs and purge expired records inside the context; at its end, finish the running jobs."""
    worker = container.job_worker()
    working = asyncio.create_task(worker.run())
    purging = asyncio.create_task(container.expired_records().purge_regularly())
    try:
        yield
    finally:
        worker.stop()
        purging.cancel()
        await asyncio.wait([working, purging])
        if container.settings().asks_for_tokens:
            await container.mail_sender().close()
