"""A real nginx or HAProxy in front of a service."""

import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.servers.choice import find_program
from tests.servers.process import TIMEOUT_SECONDS, free_port

_NGINX: Final = """
daemon off;
master_process off;
pid {directory}/pid;
events {{}}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    {site}
}}
"""

_SITE: Final = """
server {{
    listen 127.0.0.1:{port};
    location / {{
        proxy_pass http://127.0.0.1:{upstream};
        {directives}
    }}
}}
"""

_HAPROXY: Final = """
defaults
    mode http
    timeout connect 10s
    timeout client 30s
    timeout server 30s
    option forwardfor
    http-reuse always
frontend clients
    bind 127.0.0.1:{port}
    default_backend service
backend service
    server service 127.0.0.1:{upstream}
"""


@contextmanager
def nginx(directory: Path, upstream: int, directives: str = "") -> Iterator[str]:
    """Proxy to a local port; yield the address that nginx listens on."""
    port = free_port()
    log = directory / f"nginx-{port}.log"
    site = _SITE.format(port=port, upstream=upstream, directives=directives)
    with _running(_nginx_command(directory, site, log), port, log) as address:
        yield address


def check_nginx(directory: Path, site: str) -> tuple[int, str]:
    """Let nginx test the configuration of a site; return its exit code and what it printed."""
    command = _nginx_command(directory, site, directory / "nginx.log")
    done = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False)  # noqa: S603
    return done.returncode, done.stderr


def _nginx_command(directory: Path, site: str, log: Path) -> Sequence[str]:
    program = find_program("nginx", "nginx")
    configuration = log.with_suffix(".conf")
    configuration.write_text(_NGINX.format(directory=directory, site=site))
    return [program, "-p", str(directory), "-c", str(configuration), "-e", str(log)]


@contextmanager
def haproxy(directory: Path, upstream: int) -> Iterator[str]:
    """Proxy to a local port, with all clients on the same connections; yield the address."""
    program = find_program("haproxy", "haproxy")
    port = free_port()
    configuration = directory / f"haproxy-{port}.conf"
    configuration.write_text(_HAPROXY.format(port=port, upstream=upstream))
    log = directory / f"haproxy-{port}.log"
    with _running([program, "-db", "-f", str(configuration)], port, log) as address:
        yield address


@contextmanager
def _running(command: Sequence[str], port: int, log: Path) -> Iterator[str]:
    with log.open("ab") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:  # noqa: S603
        try:
            _wait_until_listening(process, port, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _wait_until_listening(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the proxy does not start:\n{log.read_text()}") from None
            time.sleep(0.05)
        else:
            return
