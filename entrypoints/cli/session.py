"""What the commands on a storage share."""

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
    """Run a coroutine on the fastest event loop that there is."""
    import asyncio

    if sys.platform == "win32":
        from asyncio import new_event_loop
    else:
        from uvloop import new_event_loop

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(main)


@asynccontextmanager
async def opened_storage(settings: "Settings") -> AsyncIterator["Storage"]:
    """Open a storage alone, for commands that need no use case; without the container, FastAPI is not loaded."""
    from entrypoints.storage_by_url import open_storage

    storage = open_storage(settings.storage)
    try:
        yield storage
    finally:
        await storage.close()


@asynccontextmanager
async def opened(settings: "Settings") -> AsyncIterator["Container"]:
    """Put the objects together, and give the storage's connections back at the end."""
    from entrypoints.container import Container

    container = Container(settings=settings)
    storage = container.storage()
    try:
        yield container
    finally:
        await storage.close()


async def make_ready(container: "Container") -> None:
    """Prepare a storage that nobody else looks after; make sure of any other. Raises what `Storage.ping` raises."""
    from entrypoints.storage_by_url import storage_plugin

    storage = container.storage()
    if storage_plugin(container.settings().storage).embedded:
        await storage.prepare()
    await storage.ping()
