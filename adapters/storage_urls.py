"""URLs of storages without options. Errors contain no part of a URL except its scheme: it may contain a password."""

from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit


class ServerAddress(NamedTuple):
    host: str
    port: int
    user: str
    password: str
    database: str


def parse_file_url(url: str) -> Path:
    """Return the absolute path of `scheme:///file.db` or `scheme:////absolute/path/file.db`.

    Raises:
        ValueError: The URL is not of this form.
    """
    scheme, _, rest = url.partition(":")
    file = rest.removeprefix("///")
    if file in {"", rest} or "?" in file or "#" in file:
        raise ValueError(f"write {scheme}:///file.db, with %3F and %23 for ? and # in the name of a file")
    return Path(unquote(file)).absolute()


def parse_server_url(url: str, default_port: int) -> ServerAddress:
    """Return the parts of `scheme://user:password@host:port/database`.

    Raises:
        ValueError: The URL is not of this form.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "localhost", parts.port or default_port
    except ValueError:
        raise ValueError("its host or port is wrong") from None
    if not parts.username or len(parts.path) < 2 or "?" in url or "#" in url:
        raise ValueError(f"write {parts.scheme}://user:password@host:port/database, without options")
    return ServerAddress(host, port, *map(unquote, (parts.username, parts.password or "", parts.path[1:])))
