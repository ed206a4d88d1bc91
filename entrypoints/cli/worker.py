"""A worker process of `userport serve`."""

import asyncio
import os
import signal
from multiprocessing import parent_process
from threading import Thread

from fastapi import FastAPI

from entrypoints.cli.interpreter import resume_gc_for_serving
from entrypoints.http.app import create_app_from_environment
from entrypoints.logs import configure_logs
from entrypoints.settings import Settings


def create_app() -> FastAPI:
    """Return the app of this worker process, which ends when its parent process does."""
    parent = parent_process()
    if parent is not None:

        def follow() -> None:
            parent.join()
            os.kill(os.getpid(), signal.SIGTERM)

        # An orphaned worker would keep the port from a new server.
        Thread(target=follow, daemon=True).start()
    app = create_app_from_environment()
    settings: Settings = app.state.container.settings()
    configure_logs(settings.log_format, access_log=settings.access_log, one_process=parent is None)
    if settings.asks_for_tokens and hasattr(signal, "SIGHUP"):
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, app.state.container.key_reload().reload)
    resume_gc_for_serving()
    return app
