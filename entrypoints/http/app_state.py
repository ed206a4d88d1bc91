from typing import cast

from starlette.requests import HTTPConnection

from entrypoints.container import Container


def asks_for_tokens(request: HTTPConnection) -> bool:
    """Return whether the app that serves a request is in token mode."""
    return cast("bool", request.scope["app"].state.asks_for_tokens)


def container_of(request: HTTPConnection) -> Container:
    """Return the container of the app that serves a request; see `docs/decisions/`, 5."""
    return cast("Container", request.scope["app"].state.container)
