"""A rolling update under load loses no request.

A proxy that looks at `/health/ready` sends connections to the server that is ready. Clients keep their connections, and
repeat nothing. To see the numbers: pytest -s tests/cli/test_rolling_update.py
"""

import http.client
import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from threading import Event, Thread
from typing import Final

import httpx
import pytest

from tests.cli.serving import serving, unpooled, wait_until_ready

pytestmark = pytest.mark.slow

CLIENTS: Final = 4
UPDATES: Final = 2


class _Proxy:
    """Forwards each connection to a server that is ready, as a load balancer for TCP does."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port: int = self._listener.getsockname()[1]
        self.servers: list[str] = []
        self.ready: list[str] = []
        self._accepting = Thread(target=self._accept)
        self._accepting.start()
        Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        while True:
            self.ready = [address for address in self.servers if _is_ready(address)]
            time.sleep(0.05)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # it is closed
                return
            Thread(target=_forward, args=(client, httpx.URL(self.ready[-1]).port), daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # which wakes the thread that accepts
        self._accepting.join()
        self._listener.close()


def _forward(client: socket.socket, port: int) -> None:
    with client, socket.create_connection(("127.0.0.1", port)) as server:
        back = Thread(target=_copy, args=(server, client))
        back.start()
        _copy(client, server)
        back.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while content := source.recv(65_536):
            target.sendall(content)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def _is_ready(address: str) -> bool:
    with suppress(httpx.TransportError):
        return unpooled.get(f"{address}/health/ready").status_code == 200
    return False


class _Client(Thread):
    """Creates a user and reads it again, over and over, on one connection for as long as that is kept."""

    def __init__(self, port: int, number: int, stop: Event) -> None:
        super().__init__()
        self._port, self._number, self._stop_event = port, number, stop
        self.statuses: list[object] = []
        self.connections = 0

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        while not self._stop_event.is_set():
            try:
                if connection.sock is None:  # the last response said so
                    self.connections += 1
                user = {"email": f"c{self._number}n{len(self.statuses)}@example.org", "name": "Ann"}
                connection.request("POST", "/users", json.dumps(user), {"content-type": "application/json"})
                created = connection.getresponse()
                created.read()
                self.statuses.append(created.status)
                if connection.sock is None:
                    self.connections += 1
                connection.request("GET", created.headers["location"])
                found = connection.getresponse()
                found.read()
                self.statuses.append(found.status)
            except OSError as error:
                self.statuses.append(error)
                connection.close()
        connection.close()


@contextmanager
def _load(port: int) -> Iterator[list[_Client]]:
    stop = Event()
    clients = [_Client(port, number, stop) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        yield clients
    finally:
        stop.set()
        for client in clients:
            client.join()


@pytest.mark.parametrize("options", [(), ("--workers", "2")], ids=["one process", "two workers"])
def test_a_rolling_update_loses_no_request(sqlite: str, options: tuple[str, ...]) -> None:
    with closing(_Proxy()) as proxy, ExitStack() as servers:

        def start() -> tuple[subprocess.Popen[str], str]:
            settings = {"USERPORT_DRAIN_SECONDS": "1", "USERPORT_AUTH": "open"}
            process, address = servers.enter_context(serving(sqlite, *options, **settings))
            wait_until_ready(address)
            proxy.servers.append(address)
            _wait_for(lambda: address in proxy.ready)
            return process, address

        old, _ = start()
        with _load(proxy.port) as clients:
            for _ in range(UPDATES):
                _wait_for_more(clients)
                new, _ = start()
                old.terminate()
                assert old.wait(30) == 0
                proxy.servers.pop(0)
                old = new
            _wait_for_more(clients)
    _check(clients)


def _check(clients: list[_Client]) -> None:
    statuses = [status for client in clients for status in client.statuses]
    failed = [status for status in statuses if status not in (200, 201)]
    connections = sum(client.connections for client in clients)
    print(f"{len(failed)} failed of {len(statuses)} requests, on {connections} connections")  # noqa: T201
    assert failed == []
    assert connections >= CLIENTS * (1 + UPDATES)


def _wait_for_more(clients: list[_Client]) -> None:
    """Wait until every client has made some more requests."""
    before = [len(client.statuses) for client in clients]
    _wait_for(lambda: all(len(client.statuses) >= count + 20 for client, count in zip(clients, before, strict=True)))


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
