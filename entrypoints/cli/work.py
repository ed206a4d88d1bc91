"""`userport work`"""

import asyncio
import signal

import typer

from entrypoints.background import background_work
from entrypoints.cli.session import StorageOption, ensure_prepared, open_container, run_async
from entrypoints.settings import Settings, SettingsError, load_settings
from entrypoints.storage_by_url import storage_plugin


def work(storage: StorageOption = None) -> None:
    """Run background jobs alone, such as sending mail. Several processes may do so, beside `userport serve`.

    SIGTERM and ctrl-C let running jobs finish, for ten seconds at most; those that do not will run again.
    """
    settings = load_settings(storage=storage)
    if not storage_plugin(settings.storage).shared:
        scheme = settings.storage.partition("://")[0]
        raise SettingsError(f"{scheme}:// lives in the process that serves it, which runs its jobs too: --storage")
    run_async(_work(settings))


async def _work(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for wanted in (signal.SIGINT, signal.SIGTERM):
        signal.signal(wanted, lambda *_: loop.call_soon_threadsafe(stop.set))
    async with open_container(settings) as container:
        await ensure_prepared(container)
        typer.echo("userport runs background jobs", err=True)
        async with background_work(container):
            await stop.wait()
