"""Parts of storage URLs. Errors contain no part of a URL except its scheme: it may contain a password."""

import re
from collections.abc import Sequence
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit

_HOST: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:/@\s]+))(?::([0-9]{1,5}))?")


class Address(NamedTuple):
    host: str
    port: int


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


def parse_hosts(text: str, default_port: int, form: str) -> Sequence[Address]:
    """Return the servers of `host:port,host:port`. Only a single host may omit its port.

    Raises:
        ValueError: The text is not of this form, or repeats a server. `form` is what to write instead.
    """
    matches = [_HOST.fullmatch(host) for host in text.split(",")]
    if len(matches) > 1 and any(match is not None and match[3] is None for match in matches):
        raise ValueError(f"each of several hosts needs a port: write {form}")
    found = [Address(match[1] or match[2], int(match[3] or default_port)) for match in matches if match is not None]
    if len(found) < len(matches) or not all(0 < address.port < 65_536 for address in found):
        raise ValueError(f"it does not name a host and port: write {form}")
    if repeats_host(found):
        raise ValueError("it repeats a host")
    return found


def repeats_host(addresses: Sequence[tuple[str, int]]) -> bool:
    """Return whether two addresses are the same, perhaps in other notations."""
    return len({(_normalized(host), port) for host, port in addresses}) < len(addresses)


def _normalized(host: str) -> str:
    """Return the one form of a host that may be written in several: a name in any case, or an IPv6 address."""
    with suppress(ValueError):
        return str(ip_address(host))
    return host.lower()


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
