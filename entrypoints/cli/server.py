"""The port and the processes of `userport serve`."""

import os
import signal
import socket
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from ipaddress import IPv6Network, ip_address, ip_network
from typing import Final

import typer
from uvicorn import Server
from uvicorn.supervisors import Multiprocess

from entrypoints.cli.errors import CommandFailed
from entrypoints.cli.interpreter import resume_gc
from entrypoints.cli.session import make_ready, opened, run_async
from entrypoints.environment import PREFIX, SettingsError
from entrypoints.http.protocol import ConnectionLimits, ServerConfig
from entrypoints.settings import Settings, load_settings
from entrypoints.storage_by_url import storage_plugin

_APP: Final = "entrypoints.cli.worker:create_app"
_BACKLOG: Final = 2_048
_SECONDS_TO_FINISH: Final = 10
_RECEIVE_BUFFER_BYTES: Final = 64 * 1024
_FILES_BESIDE_CONNECTIONS: Final = 128


def serve_with(flags: Mapping[str, object]) -> None:
    """Serve with the settings of the environment, except where a flag is not None, until a signal ends it."""
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
    with _listening(family, address) as listener:
        bound, bound_port, *_ = listener.getsockname()
        shown = f"[{bound}]" if family is socket.AF_INET6 else bound
        mode = "in token mode" if settings.asks_for_tokens else "in open mode, to this machine only"
        typer.echo(f"userport serves {mode}: http://{shown}:{bound_port}/docs", err=True)
        _pass_on(flags)
        _run(settings, listener)


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


@contextmanager
def _listening(family: socket.AddressFamily, address: tuple[str, int]) -> Iterator[socket.socket]:
    """Take the port before anything is started, so that it is known to be free and asked for once."""
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Connections inherit it. It bounds what is read from one of them at once, and so what may wait to be parsed.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
        try:
            listener.bind(address)
            listener.listen(_BACKLOG)
        except OSError as error:
            raise CommandFailed(
                f"cannot listen on {address[0]} port {address[1]} ({error.strerror}); choose another --port"
            ) from error
        listener.set_inheritable(True)
        yield listener


def _pass_on(flags: Mapping[str, object]) -> None:
    """Put what was given as a flag where every worker process finds the other settings."""
    for name, value in flags.items():
        if value is not None:
            os.environ[f"{PREFIX}{name.upper()}"] = str(value)


class _Workers(Multiprocess):
    """Uvicorn's supervisor, which otherwise keeps the port open until the last worker has ended."""

    def terminate_all(self) -> None:
        for listener in self.sockets:
            listener.close()
        super().terminate_all()


def _trusted(proxies: Iterable[str]) -> list[str]:
    """Add to each IPv4 network the IPv6 one that a dual-stack socket reports it as (RFC 4291, section 2.5.5.2)."""
    networks = [ip_network(proxy) for proxy in proxies]
    mapped = [IPv6Network(f"::ffff:{net.network_address}/{96 + net.prefixlen}") for net in networks if net.version == 4]
    return [str(network) for network in (*networks, *mapped)]


def _raise_file_limit(connections: int) -> int:
    """Allow this process, and its workers, enough open files; return how many connections that is enough for."""
    if sys.platform == "win32":
        return connections
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _FILES_BESIDE_CONNECTIONS
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return connections
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    possible = max(allowed - _FILES_BESIDE_CONNECTIONS, allowed // 2)
    if possible < connections:
        typer.echo(
            f"A process may open {allowed} files, so it serves {possible} connections instead of {connections}.",
            err=True,
        )
    return min(connections, possible)


def _run(settings: Settings, listener: socket.socket) -> None:
    config = ServerConfig(
        _APP,
        ConnectionLimits(
            max_connections=_raise_file_limit(settings.max_connections),
            head_timeout=settings.head_timeout,
            body_timeout=settings.body_timeout,
            write_timeout=settings.write_timeout,
            keep_alive_timeout=settings.keep_alive_timeout,
        ),
        factory=True,
        workers=settings.workers,
        log_level="warning",
        access_log=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=_trusted(settings.trusted_proxies),
        server_header=False,
        backlog=_BACKLOG,
        timeout_graceful_shutdown=_SECONDS_TO_FINISH,
    )
    # Uvicorn handles these itself, and afterwards raises them once more to end the process: it has ended well.
    for wanted in (signal.SIGINT, signal.SIGTERM):
        signal.signal(wanted, lambda *_: None)
    if settings.workers == 1:
        Server(config).run([listener])
    else:
        resume_gc()  # a worker does so once its app is loaded
        _Workers(config, [listener]).run()
