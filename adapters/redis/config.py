import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import SplitResult, parse_qsl, unquote

from adapters.storage_urls import Address, parse_hosts

_OPTIONS: Final = ("replicas", "service", "ssl_ca")
_SERVICE: Final = r"[A-Za-z0-9_.-]{1,64}"
_WRITTEN: Final = {
    "": "redis://user:password@host:port/0",
    "cluster": "redis+cluster://user:password@host:port,another:port",
    "sentinel": "redis+sentinel://user:password@host:port,another:port/name-of-the-master/0",
}
_DEFAULT_PORTS: Final = {"": 6379, "cluster": 6379, "sentinel": 26379}


@dataclass(frozen=True, slots=True)
class RedisConfig:
    """The content of a storage URL: the server or the nodes that know it, the credentials, and the service."""

    addresses: tuple[Address, ...]
    """The server, some nodes of its cluster, or its Sentinels."""

    is_cluster: bool
    master_name: str | None
    """The name by which Sentinels know the server; None without Sentinels."""

    uses_tls: bool
    ssl_ca: str | None
    username: str | None
    password: str | None = field(repr=False)
    database: int
    service: str
    replicas: int
    """How many replicas must have a commit before it is acknowledged."""

    @property
    def may_move(self) -> bool:
        """Whether another server may take over, which the others know."""
        return self.is_cluster or self.master_name is not None

    @classmethod
    def parse(cls, url: str) -> "RedisConfig":
        """Parse a storage URL. Raise `ValueError`, whose text contains no part of it."""
        parts = _split(url)
        options = _options(parts, has_query="?" in url)
        service, replicas = options.get("service", "userport"), options.get("replicas", "0")
        if re.fullmatch(_SERVICE, service) is None:
            raise ValueError("service must have 1 to 64 of the characters a-z A-Z 0-9 _ . -")
        if re.fullmatch("[0-9]", replicas) is None:
            raise ValueError("replicas must be a number from 0 to 9")
        scheme, _, topology = parts.scheme.partition("+")
        if scheme != "rediss" and "ssl_ca" in options:
            raise ValueError("ssl_ca needs a scheme with TLS: rediss://, rediss+cluster:// or rediss+sentinel://")
        login, _, hosts = parts.netloc.rpartition("@")
        if not topology and "," in hosts:
            raise ValueError(
                "several hosts make a cluster or are Sentinels: write redis+cluster:// or redis+sentinel://"
            )
        username, _, password = login.partition(":")
        master_name, path = _master_name(parts.path) if topology == "sentinel" else (None, parts.path)
        config = cls(
            addresses=tuple(parse_hosts(hosts, _DEFAULT_PORTS[topology], _WRITTEN[topology])),
            is_cluster=topology == "cluster",
            master_name=master_name,
            uses_tls=scheme == "rediss",
            ssl_ca=options.get("ssl_ca"),
            username=unquote(username) or None,
            password=unquote(password) or None,
            database=_database(path),
            service=service,
            replicas=int(replicas),
        )
        if config.is_cluster and config.database:
            raise ValueError("a cluster only has the database /0")
        return config

    def key(self, name: str) -> str:
        """Return the name of a key. All keys share the part in braces, and so one slot of a cluster."""
        return f"{{{self.service}}}:{name}"


def _options(parts: SplitResult, *, has_query: bool) -> Mapping[str, str]:
    try:
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise ValueError(f"write {_WRITTEN['']}; in a name or a password, write %40 for @ and %3F for ?") from None
    options = dict(pairs)
    if len(options) < len(pairs):
        raise ValueError("it repeats an option")
    if parts.fragment or (has_query and not options):
        raise ValueError("it has a '#' or a '?' that does not start an option=value; in a password, write %23 or %3F")
    if not options.keys() <= set(_OPTIONS):
        raise ValueError(f"it has an unknown option; known: {', '.join(_OPTIONS)}")
    return options


def _master_name(path: str) -> tuple[str, str]:
    """Return the name of the master, and the rest of the path."""
    _, _, path = path.partition("/")
    name, slash, rest = path.partition("/")
    if re.fullmatch(r"[^\s%]+", name) is None:
        raise ValueError(f"it does not name a master that the Sentinels know: write {_WRITTEN['sentinel']}")
    return name, slash + rest


def _database(path: str) -> int:
    if re.fullmatch(r"(?:/[0-9]{0,5})?", path) is None:
        raise ValueError("at the end, write / and the number of a database")
    return int(path[1:] or 0)


def _split(url: str) -> SplitResult:
    """Split a URL without parsing its hosts: there may be several, which `urlsplit` does not support."""
    scheme, _, rest = url.partition("://")
    rest, _, fragment = rest.partition("#")
    rest, _, query = rest.partition("?")
    netloc, slash, path = rest.partition("/")
    return SplitResult(scheme.lower(), netloc, slash + path, query, fragment)
