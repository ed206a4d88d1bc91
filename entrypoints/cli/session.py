"""Helpers of commands that use a storage."""

import asyncio
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Annotated, Any, TypeAlias, TypeVar

import typer

from entrypoints.container import Container
from entrypoints.settings import Settings
from entrypoints.storage_by_url import schemes, storage_plugin

if sys.platform == "win32":
    from asyncio import new_event_loop
else:
    from uvloop import new_event_loop

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
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(main)


@asynccontextmanager
async def open_container(settings: Settings) -> AsyncIterator[Container]:
    """Build the container, and close its storage at the end."""
    container = Container(settings=settings)
    storage = container.storage()
    try:
        yield container
    finally:
        await storage.close()


async def ensure_prepared(container: Container) -> None:
    """Prepare an embedded storage, then check the storage. Raises what `Storage.ping` raises."""
    storage = container.storage()
    if storage_plugin(container.settings().storage).embedded:
        await storage.prepare()
    await storage.ping()
