import os

from entrypoints.container import Container
from entrypoints.http.app import container_from_environment, install
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from prometheus_fastapi_instrumentator import Instrumentator

from notes_service import notes


def create_app(container: Container | None = None) -> FastAPI:
    """Return the service. Without a container, it reads userport's settings from the environment."""
    app = FastAPI(title="notes", version="0.1.0", lifespan=notes.lifespan, docs_url=None, redoc_url=None)
    app.state.notes_file = os.environ.get("NOTES_FILE", "notes.db")
    install(app, container or container_from_environment())
    app.include_router(notes.router)
    Instrumentator(registry=CollectorRegistry()).instrument(app).expose(app, include_in_schema=False)
    return app
