"""Serve `GET /metrics` in the process that starts the workers."""

import gzip
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingTCPServer
from threading import BoundedSemaphore, Thread
from typing import TYPE_CHECKING, Any, Final

from adapters.deferred import DELAY_SECONDS
from entrypoints.environment import PREFIX, SettingsError
from entrypoints.logs import LogFormat, announce
from entrypoints.metrics import DIRECTORY
from entrypoints.settings import Settings, format_address
from entrypoints.version import version

if TYPE_CHECKING:
    from adapters.metrics.exposition import Exposition

_PATH: Final = "/metrics"
_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a private directory is made in it
_MAX_CONNECTIONS: Final = 8
_TIMEOUT_SECONDS: Final = 5


@contextmanager
def serving_metrics(settings: Settings, *, workers: int = 1) -> Iterator["MetricsServer | None"]:
    """Serve metrics inside the context if the settings name a port. Raise `SettingsError` if that is impossible."""
    if settings.metrics_port is None:
        yield None
        return
    from adapters.metrics.exposition import Exposition

    with MetricsServer(settings.metrics_host, settings.metrics_port) as server, _directory() as directory:
        os.environ[DIRECTORY] = str(directory)
        server.exposition = Exposition(directory, version(), one_process=workers == 1)
        Thread(target=server.serve_forever, name="userport-metrics", daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()
            del os.environ[DIRECTORY]


@contextmanager
def _directory() -> Iterator[Path]:
    """Make a private directory for the duration of the context, in memory if possible."""
    parent = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    try:
        directory = tempfile.mkdtemp(prefix=f"userport-metrics-{os.getpid()}-", dir=parent)
    except OSError as error:
        raise SettingsError(f"metrics need a directory for temporary files: {error.strerror}") from None
    try:
        yield Path(directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


class MetricsServer(ThreadingTCPServer):
    """An HTTP server for `/metrics` alone, with bounded connections and time per connection."""

    allow_reuse_address = True
    daemon_threads = True
    exposition: "Exposition"

    def __init__(self, host: str, port: int) -> None:
        """Bind the port. Raise `SettingsError`."""
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        except (OSError, UnicodeError):
            raise SettingsError(f"{PREFIX}METRICS_HOST is not an address of this machine; use 127.0.0.1") from None
        self.address_family, *_, address = found[0]
        try:
            super().__init__((str(address[0]), port), _Handler)
        except OSError as error:
            raise SettingsError(
                f"metrics cannot be served on {address[0]} port {port} ({error.strerror}): "
                f"choose another {PREFIX}METRICS_PORT or {PREFIX}METRICS_HOST"
            ) from None
        self._places: Final = BoundedSemaphore(_MAX_CONNECTIONS)

    def announce(self, log_format: LogFormat) -> None:
        """Print the address."""
        host, port, *_ = self.socket.getsockname()
        announce(f"userport serves metrics: {format_address(host, port)}{_PATH}", log_format)

    def retire(self, process_id: int) -> None:
        """Drop the gauges of a process that has ended."""
        self.exposition.retire(process_id)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Do nothing: the client has disconnected."""


class _Handler(BaseHTTPRequestHandler):
    server: MetricsServer
    timeout = _TIMEOUT_SECONDS

    def do_GET(self) -> None:
        if self.path.partition("?")[0] != _PATH:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        time.sleep(2 * DELAY_SECONDS)  # so that requests that have been answered are counted
        content, media_type = self.server.exposition.render(self.headers.get("Accept", ""))
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", media_type)
        if "gzip" in self.headers.get("Accept-Encoding", ""):
            content = gzip.compress(content)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_HEAD = do_GET  # noqa: N815

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        # The library's page would repeat what was sent.
        is_other_method = code == HTTPStatus.NOT_IMPLEMENTED
        self.send_response(HTTPStatus.METHOD_NOT_ALLOWED if is_other_method else code)
        if is_other_method:
            self.send_header("Allow", "GET, HEAD")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def version_string(self) -> str:
        return "userport"

    def log_message(self, *_: Any) -> None:
        """Log nothing."""
