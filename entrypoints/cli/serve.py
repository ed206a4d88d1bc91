"""`userport serve`"""

from typing import Annotated

import typer

from entrypoints.cli.session import StorageOption
from entrypoints.environment import Auth


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on. [default: 127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 picks a free one. [default: 8000]")] = None,
    storage: StorageOption = None,
    workers: Annotated[int | None, typer.Option(help="Number of worker processes. [default: 1]")] = None,
    auth: Annotated[
        Auth | None,
        typer.Option(
            help="open: no sign-in, loopback connections only; token: requires access tokens. "
            "[default: token if USERPORT_SIGNING_KEY is set, else open]",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Serve the HTTP API.

    An embedded storage, such as SQLite, is prepared first. Prepare any other storage with: userport storage prepare.
    SIGTERM and Ctrl-C let running requests finish, for at most ten seconds. Before that, the server drains for
    USERPORT_DRAIN_SECONDS: it continues to serve, but is not ready. A second signal ends it at once. SIGHUP reloads
    the signing keys.
    """
    from entrypoints.cli.server import serve_with

    serve_with({"host": host, "port": port, "storage": storage, "workers": workers, "auth": auth})
