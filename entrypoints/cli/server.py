"""The port and the processes of `userport serve`."""

import os
import signal
import socket
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from ipaddress import IPv6Network, ip_address, ip_network
from typing import Final

from uvicorn.supervisors import Multiprocess, multiprocess

from entrypoints.cli.draining import DrainingServer, WorkerProcess, end_at_next_signal
from entrypoints.cli.errors import CommandFailed
from entrypoints.cli.interpreter import resume_gc
from entrypoints.cli.session import ensure_prepared, open_container, run_async
from entrypoints.environment import PREFIX, SettingsError
from entrypoints.http.protocol import ConnectionLimits, ServerConfig
from entrypoints.logs import LogFormat, announce, configure_logs
from entrypoints.mail_sender import mail_directory
from entrypoints.metrics_server import MetricsServer, serving_metrics
from entrypoints.settings import FILE_SUFFIX, Settings, format_address, load_settings
from entrypoints.storage_by_url import storage_plugin
from entrypoints.telemetry import check_telemetry

_APP: Final = "entrypoints.cli.worker:create_app"
_BACKLOG: Final = 2_048
_SECONDS_TO_FINISH: Final = 10
_RECEIVE_BUFFER_BYTES: Final = 64 * 1024
_FILES_BESIDE_CONNECTIONS: Final = 128


def serve_with(flags: Mapping[str, object]) -> None:
    """Serve until a signal. Flags that are not None take precedence over the settings of the environment."""
    settings = load_settings(**flags)
    configure_logs(settings.log_format, access_log=settings.access_log, one_process=settings.workers == 1)
    if settings.workers > 1 and not storage_plugin(settings.storage).shared:
        scheme = settings.storage.partition("://")[0]
        raise SettingsError(f"{scheme}:// is limited to one process: use --workers 1, or another --storage")
    if "*" in settings.cors_origins and not settings.asks_for_tokens:
        raise SettingsError(
            f"{PREFIX}CORS_ORIGINS=* would give every web page full access in open mode: "
            "name the origins, or use --auth token"
        )
    family, address = _address(settings)
    check_telemetry()
    run_async(_check(settings))
    with serving_metrics(settings, workers=settings.workers) as metrics, _listening(family, address) as listener:
        _serve(settings, flags, listener, metrics)


def _serve(
    settings: Settings, flags: Mapping[str, object], listener: socket.socket, metrics: MetricsServer | None
) -> None:
    run = _create_server(settings, listener, metrics)
    served = format_address(*listener.getsockname()[:2])
    mode = "in token mode" if settings.asks_for_tokens else "in open mode, for this machine only"
    announce(f"userport serves {mode}: {served}/docs", settings.log_format)
    if settings.asks_for_tokens:
        _show_mail_settings(settings, served)
    if metrics is not None:
        metrics.announce(settings.log_format)
    _pass_on({**flags, "public_url": settings.public_url or served})
    run()


def _show_mail_settings(settings: Settings, served: str) -> None:
    directory = mail_directory(settings)
    if directory is not None:
        line = f"Mails are not sent, but written to the directory {directory}: see {PREFIX}MAIL"
    elif settings.public_url is None:
        line = f"Links in mails begin with {served}: see {PREFIX}PUBLIC_URL"
    else:
        return
    announce(line, settings.log_format)


def _address(settings: Settings) -> tuple[socket.AddressFamily, tuple[str, int]]:
    """Resolve the address to listen on. In open mode it must be a loopback address, however it is written."""
    try:
        found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise SettingsError(f"--host ({PREFIX}HOST) is not an address of this machine; use 127.0.0.1") from None
    is_local = all(ip_address(str(address[0]).partition("%")[0]).is_loopback for *_, address in found)
    if not is_local and not settings.asks_for_tokens:
        raise SettingsError(
            f"--host ({PREFIX}HOST) would accept other machines, and open mode requires no sign-in: "
            "use 127.0.0.1, or --auth token"
        )
    family, *_, address = found[0]
    return family, (str(address[0]), settings.port)


async def _check(settings: Settings) -> None:
    """Check the storage, the signing key and the mail settings once, before workers start."""
    async with open_container(settings) as container:
        if settings.asks_for_tokens:
            container.signer()
            container.mail_sender()
        await ensure_prepared(container)


@contextmanager
def _listening(family: socket.AddressFamily, address: tuple[str, int]) -> Iterator[socket.socket]:
    """Bind the port before workers start, so that a conflict is reported once."""
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Connections inherit the buffer size. It bounds the bytes of one read, and so the bytes that wait to be parsed.
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
    """Put the values of flags into the environment, where worker processes read their settings."""
    for name, value in flags.items():
        if value is not None:
            os.environ[f"{PREFIX}{name.upper()}"] = str(value)
            os.environ.pop(f"{PREFIX}{name.upper()}{FILE_SUFFIX}", None)


class _Workers(Multiprocess):
    """Uvicorn's supervisor, except that it closes the port when it stops, not after the last worker.

    A second signal ends it at once, and the workers end with it. SIGHUP lets the workers reload their signing keys.
    """

    def __init__(
        self, config: ServerConfig, listeners: list[socket.socket], metrics: MetricsServer | None, *, has_keys: bool
    ) -> None:
        super().__init__(config, listeners)
        self._metrics = metrics
        self._pids: set[int | None] = set()
        self._has_keys = has_keys

    def handle_hup(self) -> None:
        if not self._has_keys:  # like a single process without keys whose terminal closes
            self.should_exit.set()
            return
        for process in self.processes:
            if process.pid is not None and process.process.is_alive():
                os.kill(process.pid, signal.SIGHUP)

    def keep_subprocess_alive(self) -> None:
        super().keep_subprocess_alive()
        before, self._pids = self._pids, {process.pid for process in self.processes}
        for pid in before - self._pids:
            if self._metrics is not None and pid is not None:
                self._metrics.retire(pid)

    def terminate_all(self) -> None:
        end_at_next_signal()
        for listener in self.sockets:
            listener.close()
        super().terminate_all()


def _trusted(proxies: Iterable[str]) -> list[str]:
    """Add the IPv4-mapped IPv6 network of each IPv4 network (RFC 4291, section 2.5.5.2)."""
    networks = [ip_network(proxy) for proxy in proxies]
    mapped = [IPv6Network(f"::ffff:{net.network_address}/{96 + net.prefixlen}") for net in networks if net.version == 4]
    return [str(network) for network in (*networks, *mapped)]


def _raise_file_limit(settings: Settings) -> int:
    """Raise the limit of open files for this process and its workers; return how many connections it allows."""
    connections = settings.max_connections
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
        announce(
            f"A process may open {allowed} files, so it serves {possible} connections instead of {connections}.",
            settings.log_format,
        )
    return min(connections, possible)


def _create_server(settings: Settings, listener: socket.socket, metrics: MetricsServer | None) -> Callable[[], None]:
    """Return a function that serves until SIGTERM or SIGINT, also if one arrives before the call."""
    config = ServerConfig(
        _APP,
        ConnectionLimits(
            max_connections=_raise_file_limit(settings),
            head_timeout=settings.head_timeout,
            body_timeout=settings.body_timeout,
            write_timeout=settings.write_timeout,
            keep_alive_timeout=settings.keep_alive_timeout,
        ),
        settings.drain_seconds,
        factory=True,
        workers=settings.workers,
        log_level="warning",
        **({"log_config": None} if settings.log_format is LogFormat.JSON else {}),
        access_log=False,
        use_colors=False if os.environ.get("NO_COLOR") else None,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=_trusted(settings.trusted_proxies),
        server_header=False,
        backlog=_BACKLOG,
        timeout_graceful_shutdown=_SECONDS_TO_FINISH,
    )
    if settings.workers > 1:
        resume_gc()  # each worker pauses it until its app is loaded
        multiprocess.Process = WorkerProcess  # type: ignore[misc]  # the class that the supervisor starts
        return _Workers(config, [listener], metrics, has_keys=settings.asks_for_tokens).run
    server = DrainingServer(config)

    def stop(*_: object) -> None:
        server.should_exit = True

    # Once it runs, uvicorn handles these signals itself. Then it raises them again to end the process: exit with 0.
    for wanted in (signal.SIGINT, signal.SIGTERM):
        signal.signal(wanted, stop)
    return partial(server.run, [listener])
