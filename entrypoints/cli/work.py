"""`userport work`"""

import signal
from typing import TYPE_CHECKING

from entrypoints.cli.session import StorageOption, ensure_prepared, open_container, run_async
from entrypoints.environment import SettingsError

_SIGNALS = (signal.SIGINT, signal.SIGTERM)

if TYPE_CHECKING:
    from entrypoints.metrics_server import MetricsServer
    from entrypoints.settings import Settings


def work(storage: StorageOption = None) -> None:
    """Run only background jobs, such as sending mail. Several processes may do so, in addition to `userport serve`.

    SIGTERM and Ctrl-C let running jobs finish, for at most ten seconds; unfinished jobs run again later. A second
    signal ends the process at once. SIGHUP reloads the signing keys.
    """
    from entrypoints.logs import configure_logs
    from entrypoints.metrics_server import serving_metrics
    from entrypoints.settings import load_settings
    from entrypoints.storage_by_url import storage_plugin

    settings = load_settings(storage=storage)
    configure_logs(settings.log_format, access_log=False)
    if not storage_plugin(settings.storage).shared:
        scheme = settings.storage.partition("://")[0]
        raise SettingsError(f"{scheme}:// lives in the process that serves it, which runs its jobs too: --storage")
    with serving_metrics(settings) as metrics:
        run_async(_work(settings, metrics))


async def _work(settings: "Settings", metrics: "MetricsServer | None") -> None:
    import asyncio

    from entrypoints.background import background_work, watched_keys
    from entrypoints.logs import announce

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def finish(*_: object) -> None:
        loop.call_soon_threadsafe(stop.set)
        for handled in _SIGNALS:  # the next one ends the process at once
            signal.signal(handled, signal.SIG_DFL)

    for wanted in _SIGNALS:
        signal.signal(wanted, finish)
    async with open_container(settings, traced=True) as container:
        await ensure_prepared(container)
        if settings.asks_for_tokens and hasattr(signal, "SIGHUP"):
            loop.add_signal_handler(signal.SIGHUP, container.key_reload().reload)
        announce("userport runs background jobs", settings.log_format)
        if metrics is not None:
            metrics.announce(settings.log_format)
        async with watched_keys(container), container.gauges(), background_work(container):
            await stop.wait()
