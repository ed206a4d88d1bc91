"""`userport serve`"""

import os
import socket
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Annotated

import typer

from entrypoints.cli.session import StorageOption, make_ready, opened, run_async
from entrypoints.settings import PREFIX, Auth, Settings, SettingsError, load_settings
from entrypoints.storage_by_url import storage_plugin


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
    from entrypoints.cli.server import listening, run_server

    flags = {"host": host, "port": port, "storage": storage, "workers": workers, "auth": auth}
    settings = load_settings(**flags)
    if settings.workers > 1 and not storage_plugin(settings.storage).shared:
        scheme = settings.storage.partition("://")[0]
        raise SettingsError(f"{scheme}:// lives in one process: use --workers 1, or another --storage")
    if "*" in settings.cors_origins and not settings.asks_for_tokens:
        raise SettingsError(
            f"{PREFIX}CORS_ORIGINS=* would let every web page do anything in open mode: "
            "name the origins, or use --auth token"
        )
    family, address = _address(settings)
    run_async(_check(settings))
    with listening(family, address) as listener:
        bound, bound_port, *_ = listener.getsockname()
        shown = f"[{bound}]" if family is socket.AF_INET6 else bound
        mode = "in token mode" if settings.asks_for_tokens else "in open mode, to this machine only"
        typer.echo(f"userport serves {mode}: http://{shown}:{bound_port}/docs", err=True)
        _pass_on(flags)
        run_server(settings, listener)


def _address(settings: Settings) -> tuple[socket.AddressFamily, tuple[str, int]]:
    """Find the address to listen on; whatever the name is, nobody else must reach it while there is no sign-in."""
    try:
        found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise SettingsError(f"--host ({PREFIX}HOST) is no address of this machine; use 127.0.0.1") from None
    is_local = all(ip_address(str(address[0]).partition("%")[0]).is_loopback for *_, address in found)
    if not is_local and not settings.asks_for_tokens:
        raise SettingsError(
            f"--host ({PREFIX}HOST) would let other machines in, and in open mode anybody may do anything: "
            "use 127.0.0.1, or --auth token"
        )
    family, *_, address = found[0]
    return family, (str(address[0]), settings.port)


async def _check(settings: Settings) -> None:
    """Find out now whether the storage and the signing key are there, rather than in each worker."""
    async with opened(settings) as container:
        if settings.asks_for_tokens:
            container.signer()
        await make_ready(container)


def _pass_on(flags: Mapping[str, object]) -> None:
    """Put what was given as a flag where every worker process finds the other settings."""
    for name, value in flags.items():
        if value is not None:
            os.environ[f"{PREFIX}{name.upper()}"] = str(value)
