"""A real nginx in front of a service."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.servers.choice import give_up
from tests.servers.process import PATIENCE, free_port

_CONFIGURATION: Final = """
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
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://127.0.0.1:{upstream};
            {directives}
        }}
    }}
}}
"""


@contextmanager
def nginx(directory: Path, upstream: int, directives: str = "") -> Iterator[str]:
    """Pass requests on to a port of this machine; yield the address that nginx listens on."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        give_up("nginx", "install Debian's package nginx")
    port = free_port()
    configuration = directory / f"nginx-{port}.conf"
    configuration.write_text(
        _CONFIGURATION.format(directory=directory, port=port, upstream=upstream, directives=directives)
    )
    log = directory / f"nginx-{port}.log"
    command = [program, "-p", str(directory), "-c", str(configuration), "-e", str(log)]
    with subprocess.Popen(command) as process:  # noqa: S603 - the program is found by us
        try:
            _wait_until_listening(process, port, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _wait_until_listening(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"nginx does not start:\n{log.read_text()}") from None
            time.sleep(0.05)
        else:
            return
