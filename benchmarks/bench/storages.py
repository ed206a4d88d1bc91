"""Empty storages for the apps, on disks that keep acknowledged writes."""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from tests.servers.postgresql import KIND as POSTGRESQL
from tests.servers.sql import execute


class StorageProvider(Protocol):
    @property
    def version(self) -> str:
        """Product and version of the server, such as "PostgreSQL 15.20"."""

    def new(self, name: str) -> str:
        """Create an empty storage and return its URL."""

    def settle(self, url: str) -> None:
        """Do the maintenance that the database would do some time after it was filled."""


class SqliteFiles:
    """SQLite files in one directory."""

    version = f"SQLite {sqlite3.sqlite_version}"

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def new(self, name: str) -> str:
        return f"sqlite:///{self._directory / name}.db"

    def settle(self, url: str) -> None:
        file = sqlite3.connect(url.removeprefix("sqlite:///"))
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        file.close()


class PostgresqlDatabases:
    """Databases on a PostgreSQL server."""

    def __init__(self, server_url: str) -> None:
        self._server_url = server_url
        self.made: list[str] = []

    @property
    def version(self) -> str:
        return POSTGRESQL.version(self._server_url)

    def new(self, name: str) -> str:
        url = POSTGRESQL.create(self._server_url)
        self.made.append(url)
        return url

    def settle(self, url: str) -> None:
        execute(url, "VACUUM ANALYZE")


@contextmanager
def files(directory: Path | None) -> Iterator[StorageProvider]:
    made = Path(tempfile.mkdtemp(prefix="userport-bench-", dir=directory))
    try:
        yield SqliteFiles(made)
    finally:
        shutil.rmtree(made)


@contextmanager
def databases(server_url: str | None) -> Iterator[StorageProvider]:
    """Use a running server, or start one with its default settings."""
    server_url = server_url or os.environ.get(POSTGRESQL.variable)
    if server_url is None:
        programs = POSTGRESQL.find_programs()
        if programs is None:
            raise SystemExit(f"There is no PostgreSQL to measure on: {POSTGRESQL.how_to_get_it}")
        with POSTGRESQL.durable(programs) as server:
            yield PostgresqlDatabases(server.url)
        return
    provider = PostgresqlDatabases(server_url)
    try:
        yield provider
    finally:
        for url in provider.made:
            POSTGRESQL.drop(url)
