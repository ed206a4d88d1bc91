"""A worker process of `userport serve`."""

import os
import signal
from multiprocessing import parent_process
from threading import Thread

from fastapi import FastAPI

from entrypoints.cli.interpreter import resume_gc_for_serving
from entrypoints.http.app import create_app_from_environment


def create_app() -> FastAPI:
    """Make the app of this process, and end the process when the one that started it is gone."""
    parent = parent_process()
    if parent is not None:

        def follow() -> None:
            parent.join()
            os.kill(os.getpid(), signal.SIGTERM)

        # Nobody would replace or stop this worker any more, and it would keep the port from a new server.
        Thread(target=follow, daemon=True).start()
    app = create_app_from_environment()
    resume_gc_for_serving()
    return app
