"""Helpers of commands that use a storage."""

import logging
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, TypeVar

import typer

from entrypoints.storage_schemes import schemes

if TYPE_CHECKING:
    from domain.storage import Storage
    from entrypoints.container import Container
    from entrypoints.settings import Settings

T = TypeVar("T")

StorageOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help=f"{', '.join(f'{scheme}://…' for scheme in schemes())}  [default: sqlite:///userport.db]",
    ),
]


def run_async(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on the fastest event loop available."""
    import asyncio

    if sys.platform == "win32":
        from asyncio import new_event_loop
    else:
        from uvloop import new_event_loop

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(main)


@asynccontextmanager
async def open_storage(settings: "Settings") -> AsyncIterator["Storage"]:
    """Open the storage alone, for commands without a use case. The container would load FastAPI."""
    from entrypoints.read_cache import cache_reads
    from entrypoints.storage_by_url import open_storage

    storage = cache_reads(open_storage(settings.storage), settings)
    try:
        yield storage
    finally:
        await storage.close()


@asynccontextmanager
async def open_container(settings: "Settings", *, traced: bool = False) -> AsyncIterator["Container"]:
    """Build the container, and close its storage at the end; with `traced`, trace as the environment configures it."""
    from entrypoints.container import Container

    container = Container(settings=settings)
    if traced:
        from entrypoints.telemetry import start_tracing

        start_tracing(container)
    storage = container.storage()
    try:
        yield container
    finally:
        await storage.close()
        if (tracing := container.tracing()) is not None:
            tracing.shutdown()


async def ensure_prepared(container: "Container") -> None:
    """Prepare an embedded storage, then check the storage. Raises what `Storage.ping` raises.

    A cache that cannot be used is announced; it is not an error.
    """
    from entrypoints.logs import announce
    from entrypoints.read_cache import cache_warning
    from entrypoints.storage_by_url import storage_plugin

    storage, settings = container.storage(), container.settings()
    if storage_plugin(settings.storage).embedded:
        await storage.prepare()
    await storage.ping()
    if (warning := await cache_warning(settings, storage)) is not None:
        announce(warning, settings.log_format, logging.WARNING)
