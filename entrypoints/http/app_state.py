"""What `install` keeps in the state of the app. It is read by item, because Starlette looks attributes up slowly."""

from typing import cast

from starlette.requests import HTTPConnection

from entrypoints.container import Container
from entrypoints.http.pages import PageReader


def asks_for_tokens(request: HTTPConnection) -> bool:
    """Return whether the app that serves a request is in token mode."""
    return cast("bool", request.scope["app"].state["asks_for_tokens"])


def container_of(request: HTTPConnection) -> Container:
    """Return the container of the app that serves a request; see `docs/decisions/`, 5."""
    return cast("Container", request.scope["app"].state["container"])


def page_reader_of(request: HTTPConnection, items: str) -> PageReader:
    """Return the reader of all pages of users, or of all pages of posts."""
    return cast("PageReader", request.scope["app"].state["page_readers"][items])
