"""Databases for single tests, on every kind of store. A database is what a storage URL names."""

import os
import shutil
import socket
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Final

from tests.servers.choice import Kind, give_up, skip_unless_chosen
from tests.servers.kind import ServerKind
from tests.servers.process import ServerProcess

_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - `tempfile` creates the directories in it
_IN_MEMORY: Final = _MEMORY if _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > 2**30 else None
"""A directory where no commit waits for a disk, if there is one."""


class Databases:
    """Fresh databases of every kind. Servers start when first needed and end with this object."""

    def __init__(self, server_urls: Mapping[Kind, str] = MappingProxyType({})) -> None:
        """`server_urls` are those of running servers."""
        self._ends = ExitStack()
        self._server_urls = dict(server_urls)

    def __enter__(self) -> "Databases":
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()

    def fresh(self, kind: Kind) -> AbstractContextManager[str]:
        """Create an empty database with a unique name, yield its URL, and remove it afterwards."""
        skip_unless_chosen(kind)
        return _fresh_file() if kind == "sqlite" else self._fresh_on_server(kind)

    def unreachable(self, kind: Kind) -> AbstractContextManager[str]:
        """Yield a URL that nothing serves."""
        skip_unless_chosen(kind)
        return _impossible_file() if kind == "sqlite" else _closed_port(kind)

    def version(self, kind: Kind, url: str) -> str:
        """Return product and version of the server of a database, such as "PostgreSQL 15.20"."""
        return f"SQLite {sqlite3.sqlite_version}" if kind == "sqlite" else server_kind(kind).version(url)

    def own_server(self, kind: Kind, *, durable: bool = False) -> ServerProcess:
        """Return a server, to be entered, that the test may stop, kill, pause and restart."""
        skip_unless_chosen(kind)
        served = server_kind(kind)
        programs = served.find_programs()
        if programs is None:
            give_up(kind, served.how_to_get_it)
        return (served.durable if durable else served.fast)(programs)

    @contextmanager
    def _fresh_on_server(self, kind: Kind) -> Iterator[str]:
        served = server_kind(kind)
        url = served.create(self._server_url(kind))
        try:
            yield url
        finally:
            served.drop(url)

    def _server_url(self, kind: Kind) -> str:
        if kind not in self._server_urls:
            named = os.environ.get(server_kind(kind).variable)
            self._server_urls[kind] = named or self._ends.enter_context(self.own_server(kind)).url
        return self._server_urls[kind]


def server_kind(kind: Kind) -> ServerKind:
    """Return the definition of a kind. Its driver is imported on demand, so other kinds do not need it."""
    found = import_module(f"tests.servers.{kind}").KIND
    assert isinstance(found, ServerKind)
    return found


@contextmanager
def _fresh_file() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="userport-sqlite-", dir=_IN_MEMORY) as directory:
        file = Path(directory, "test.db")
        file.touch()  # an existing but empty database
        yield f"sqlite:///{file}"


@contextmanager
def _impossible_file() -> Iterator[str]:
    # Not even root can create a file inside a file.
    with tempfile.NamedTemporaryFile(prefix="userport-sqlite-") as file:
        yield f"sqlite:///{Path(file.name, 'test.db')}"


@contextmanager
def _closed_port(kind: Kind) -> Iterator[str]:
    # Bound but not listening, so no other process can use the port.
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield server_kind(kind).url_on(taken.getsockname()[1])
