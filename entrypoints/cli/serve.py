"""`userport serve`"""

from typing import Annotated

import typer

from entrypoints.cli.session import StorageOption
from entrypoints.environment import Auth


def serve(
    host: Annotated[str | None, typer.Option(help="Address of this machine. [default: 127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 for any free one. [default: 8000]")] = None,
    storage: StorageOption = None,
    workers: Annotated[int | None, typer.Option(help="Number of processes. [default: 1]")] = None,
    auth: Annotated[
        Auth | None,
        typer.Option(
            help="open: to this machine only, without sign-in; token: to whoever has an access token. "
            "[default: token if there is a USERPORT_SIGNING_KEY, else open]",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Serve the HTTP API.

    An embedded storage, such as SQLite, is prepared first; any other one must have been, by: userport storage
    prepare. SIGTERM and ctrl-C let running requests finish, for ten seconds at most.
    """
    from entrypoints.cli.server import serve_with

    serve_with({"host": host, "port": port, "storage": storage, "workers": workers, "auth": auth})
