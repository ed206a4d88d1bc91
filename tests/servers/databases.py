"""Databases that a test may have for itself."""

import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Final
from uuid import uuid4

from sqlalchemy import make_url

from tests.servers import mariadb, postgresql
from tests.servers.choice import Kind, give_up, skip_unless_chosen
from tests.servers.process import ServerProcess
from tests.servers.sql import execute

_MODULES: Final[dict[Kind, ModuleType]] = {"postgresql": postgresql, "mariadb": mariadb}
_VARIABLES: Final[dict[Kind, str]] = {"postgresql": "TEST_POSTGRESQL_URL", "mariadb": "TEST_MARIADB_URL"}
_FAST: Final[dict[Kind, type[ServerProcess]]] = {
    "postgresql": postgresql.PostgresqlProcess,
    "mariadb": mariadb.MariadbProcess,
}
_DURABLE: Final[dict[Kind, type[ServerProcess]]] = {
    "postgresql": postgresql.DurablePostgresqlProcess,
    "mariadb": mariadb.DurableMariadbProcess,
}


class Databases:
    """Fresh databases of every kind. Servers start when one is first needed and end with this object."""

    def __init__(self) -> None:
        self._ends = ExitStack()
        self._server_urls: dict[Kind, str] = {}

    def __enter__(self) -> "Databases":
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()

    def fresh(self, kind: Kind) -> AbstractContextManager[str]:
        """Make an empty database with a name of its own, yield its URL, and drop it afterwards."""
        skip_unless_chosen(kind)
        return _fresh_file() if kind == "sqlite" else self._fresh_on_server(kind)

    def unreachable(self, kind: Kind) -> AbstractContextManager[str]:
        """Yield a URL behind which there is nothing."""
        skip_unless_chosen(kind)
        return _impossible_file() if kind == "sqlite" else _closed_port(kind)

    def own_server(self, kind: Kind, *, durable: bool = False) -> ServerProcess:
        """Make a server, to be entered, that the test may stop, kill, pause and start again."""
        skip_unless_chosen(kind)
        programs = _MODULES[kind].find_programs()
        if programs is None:
            give_up(kind, _MODULES[kind].HOW_TO_GET_IT)
        return (_DURABLE if durable else _FAST)[kind](programs)

    @contextmanager
    def _fresh_on_server(self, kind: Kind) -> Iterator[str]:
        server = self._server_url(kind)
        name = f"userport_test_{uuid4().hex}"
        execute(server, f"CREATE DATABASE {name}")
        try:
            yield make_url(server).set(database=name).render_as_string(hide_password=False)
        finally:
            execute(server, f"DROP DATABASE {name}{' WITH (FORCE)' if kind == 'postgresql' else ''}")

    def _server_url(self, kind: Kind) -> str:
        if kind not in self._server_urls:
            named = os.environ.get(_VARIABLES[kind])
            self._server_urls[kind] = named or self._ends.enter_context(self.own_server(kind)).url
        return self._server_urls[kind]


@contextmanager
def _fresh_file() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="userport-sqlite-") as directory:
        yield f"sqlite:///{Path(directory, 'test.db')}"


@contextmanager
def _impossible_file() -> Iterator[str]:
    # Not even root can make a file inside of what is itself a file.
    with tempfile.NamedTemporaryFile(prefix="userport-sqlite-") as file:
        yield f"sqlite:///{Path(file.name, 'test.db')}"


@contextmanager
def _closed_port(kind: Kind) -> Iterator[str]:
    # Taken but not listened on: nobody else can start to answer there meanwhile.
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"{kind}://userport:secret@127.0.0.1:{taken.getsockname()[1]}/userport"
