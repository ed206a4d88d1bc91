"""Places that a test may have for itself, on every kind of store: a database, a table, whatever its URL names."""

import os
import shutil
import socket
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Final

from tests.servers.choice import Kind, give_up, skip_unless_chosen
from tests.servers.kind import ServerKind
from tests.servers.process import ServerProcess

_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - where it is, with room enough, the directories in it are made by `tempfile`
_IN_MEMORY: Final = _MEMORY if _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > 2**30 else None
"""Where no commit waits for a disk, if there is such a place."""


class Databases:
    """Fresh places of every kind. Servers start when one is first needed and end with this object."""

    def __init__(self) -> None:
        self._ends = ExitStack()
        self._server_urls: dict[Kind, str] = {}

    def __enter__(self) -> "Databases":
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()

    def fresh(self, kind: Kind) -> AbstractContextManager[str]:
        """Make an empty place with a name of its own, yield its URL, and remove it afterwards."""
        skip_unless_chosen(kind)
        return _fresh_file() if kind == "sqlite" else self._fresh_on_server(kind)

    def unreachable(self, kind: Kind) -> AbstractContextManager[str]:
        """Yield a URL behind which there is nothing."""
        skip_unless_chosen(kind)
        return _impossible_file() if kind == "sqlite" else _closed_port(kind)

    def version(self, kind: Kind, url: str) -> str:
        """Tell what serves a place, as "PostgreSQL 15.20"."""
        return f"SQLite {sqlite3.sqlite_version}" if kind == "sqlite" else server_kind(kind).version(url)

    def own_server(self, kind: Kind, *, durable: bool = False) -> ServerProcess:
        """Make a server, to be entered, that the test may stop, kill, pause and start again."""
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
    """Find what is known of a kind; its driver is imported only now, and need not be there for the other kinds."""
    found = import_module(f"tests.servers.{kind}").KIND
    assert isinstance(found, ServerKind)
    return found


@contextmanager
def _fresh_file() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="userport-sqlite-", dir=_IN_MEMORY) as directory:
        file = Path(directory, "test.db")
        file.touch()  # as a database that is there and empty
        yield f"sqlite:///{file}"


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
        yield server_kind(kind).url_on(taken.getsockname()[1])
