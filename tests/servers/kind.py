from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from tests.servers.process import ServerProcess


class ServerKind(ABC):
    """How the tests come by a server of one kind of store, and by places on it: what a storage URL names there."""

    variable: ClassVar[str]
    """The environment variable that may name a server which is running already."""

    how_to_get_it: ClassVar[str]
    default_port: ClassVar[int]
    fast: ClassVar[type[ServerProcess]]
    durable: ClassVar[type[ServerProcess]]

    @abstractmethod
    def find_programs(self) -> Path | None:
        """Find the directory of the server's programs."""

    @abstractmethod
    def create(self, server_url: str) -> str:
        """Make an empty place with a name of its own and return its URL."""

    @abstractmethod
    def drop(self, url: str) -> None:
        """Remove a place and all that is in it."""

    @abstractmethod
    def empty(self, url: str) -> None:
        """Make a prepared place as good as new."""

    @abstractmethod
    def version(self, url: str) -> str:
        """Ask the server of a place for its product and version, as people call it."""

    @abstractmethod
    def url_on(self, port: int) -> str:
        """Make the URL of a place, with the password "secret" where there is one, on a port of this machine."""

    def endpoint(self, url: str) -> tuple[str, int]:
        """Find the host and port of the server in the URL of a place."""
        parts = urlsplit(url)
        return parts.hostname or "127.0.0.1", parts.port or self.default_port

    def moved(self, url: str, port: int) -> str:
        """Make the URL of the same place on a server at another port, of this machine."""
        parts = urlsplit(url)
        login, separator, _ = parts.netloc.rpartition("@")
        return parts._replace(netloc=f"{login}{separator}127.0.0.1:{port}").geturl()
