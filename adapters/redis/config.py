import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import SplitResult, parse_qsl, unquote

_OPTIONS: Final = ("service", "ssl_ca")
_SERVICE: Final = r"[A-Za-z0-9_.-]{1,64}"
_WRITTEN: Final = "redis://user:password@host:port/0, or redis+cluster://user:password@host:port,another:port"
_DEFAULT_PORT: Final = 6379


@dataclass(frozen=True, slots=True)
class Address:
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class RedisConfig:
    """The content of a storage URL: the server or some cluster nodes, the credentials, and the name of the service."""

    addresses: tuple[Address, ...]
    is_cluster: bool
    uses_tls: bool
    ssl_ca: str | None
    username: str | None
    password: str | None = field(repr=False)
    database: int
    service: str

    @classmethod
    def parse(cls, url: str) -> "RedisConfig":
        """Parse a storage URL. Raise `ValueError`, which repeats nothing of it."""
        try:
            parts = _split(url)
            pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        except ValueError:
            raise ValueError(f"write {_WRITTEN}; in a name or a password, write %40 for @ and %3F for ?") from None
        options = dict(pairs)
        if len(options) < len(pairs):
            raise ValueError("it repeats an option")
        if parts.fragment or ("?" in url and not options):
            raise ValueError(
                "it has a '#' or a '?' that does not start an option=value; in a password, write %23 or %3F"
            )
        if not options.keys() <= set(_OPTIONS):
            raise ValueError(f"it has an unknown option; known: {', '.join(_OPTIONS)}")
        service = options.get("service", "userport")
        if re.fullmatch(_SERVICE, service) is None:
            raise ValueError("service must have 1 to 64 of the characters a-z A-Z 0-9 _ . -")
        scheme, _, cluster = parts.scheme.partition("+")
        if scheme != "rediss" and "ssl_ca" in options:
            raise ValueError("ssl_ca needs a scheme with TLS: rediss:// or rediss+cluster://")
        login, _, hosts = parts.netloc.rpartition("@")
        username, _, password = login.partition(":")
        config = cls(
            addresses=tuple(_address(host) for host in hosts.split(",")),
            is_cluster=bool(cluster),
            uses_tls=scheme == "rediss",
            ssl_ca=options.get("ssl_ca"),
            username=unquote(username) or None,
            password=unquote(password) or None,
            database=_database(parts.path),
            service=service,
        )
        if not config.is_cluster and len(config.addresses) > 1:
            raise ValueError("several hosts make a cluster: write redis+cluster:// or rediss+cluster://")
        if config.is_cluster and config.database:
            raise ValueError("a cluster only has the database /0")
        return config

    def key(self, name: str) -> str:
        """Return the name of a key. All keys share the part in braces, and so one slot of a cluster."""
        return f"{{{self.service}}}:{name}"


def _address(text: str) -> Address:
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:/\s]+))(?::([0-9]{1,5}))?", text)
    if match is None or not 0 < int(match[3] or _DEFAULT_PORT) < 65_536:
        raise ValueError(f"it does not name a host and port: write {_WRITTEN}")
    return Address(match[1] or match[2], int(match[3] or _DEFAULT_PORT))


def _database(path: str) -> int:
    if re.fullmatch(r"(?:/[0-9]{0,5})?", path) is None:
        raise ValueError("after the port, write / and the number of a database")
    return int(path[1:] or 0)


def _split(url: str) -> SplitResult:
    """Split a URL without parsing its hosts: there may be several, which `urlsplit` does not support."""
    scheme, _, rest = url.partition("://")
    rest, _, fragment = rest.partition("#")
    rest, _, query = rest.partition("?")
    netloc, slash, path = rest.partition("/")
    return SplitResult(scheme.lower(), netloc, slash + path, query, fragment)
