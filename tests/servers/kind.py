from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from tests.servers.process import ServerProcess


class ServerKind(ABC):
    """How tests run a server of one kind of store, and create databases (what a storage URL names) on it."""

    variable: ClassVar[str]
    """The environment variable that may name a running server."""

    how_to_get_it: ClassVar[str]
    default_port: ClassVar[int]
    fast: ClassVar[type[ServerProcess]]
    durable: ClassVar[type[ServerProcess]]

    @abstractmethod
    def find_programs(self) -> Path | None:
        """Return the directory of the server's programs."""

    @abstractmethod
    def create(self, server_url: str) -> str:
        """Create an empty database with a unique name and return its URL."""

    @abstractmethod
    def drop(self, url: str) -> None:
        """Remove a database and its content."""

    @abstractmethod
    def empty(self, url: str) -> None:
        """Reset a prepared database to its initial state."""

    @abstractmethod
    def version(self, url: str) -> str:
        """Return product and version of a database's server, such as "PostgreSQL 15.20"."""

    @abstractmethod
    def url_on(self, port: int) -> str:
        """Return the URL of a database on a local port, with the password "secret" where there is one."""

    def endpoint(self, url: str) -> tuple[str, int]:
        """Return host and port of the server of a database."""
        parts = urlsplit(url)
        return parts.hostname or "127.0.0.1", parts.port or self.default_port

    def moved(self, url: str, port: int) -> str:
        """Return the URL of the same database on a server at another local port."""
        parts = urlsplit(url)
        login, separator, _ = parts.netloc.rpartition("@")
        return parts._replace(netloc=f"{login}{separator}127.0.0.1:{port}").geturl()
