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
    """What a storage URL names: a server or some nodes of a cluster, who we are there, and whose keys are meant."""

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
        """Read a storage URL; raises `ValueError`, which repeats nothing of it."""
        try:
            parts = _split(url)
            pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        except ValueError:
            raise ValueError(f"write {_WRITTEN}; in a name or a password, write %40 for @ and %3F for ?") from None
        options = dict(pairs)
        if len(options) < len(pairs):
            raise ValueError("it has an option twice")
        if parts.fragment or ("?" in url and not options):
            raise ValueError("it has a '#' or a '?' that begins no option=value; in a password, write %23 or %3F")
        if not options.keys() <= set(_OPTIONS):
            raise ValueError(f"it has options that are not known behind the '?'; known: {', '.join(_OPTIONS)}")
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
            raise ValueError("a cluster has no other database than /0")
        return config

    def key(self, name: str) -> str:
        """Name a key. The part in braces decides its slot in a cluster, so all keys of a service share one."""
        return f"{{{self.service}}}:{name}"


def _address(text: str) -> Address:
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:/\s]+))(?::([0-9]{1,5}))?", text)
    if match is None or not 0 < int(match[3] or _DEFAULT_PORT) < 65_536:
        raise ValueError(f"it names no host and port: write {_WRITTEN}")
    return Address(match[1] or match[2], int(match[3] or _DEFAULT_PORT))


def _database(path: str) -> int:
    if re.fullmatch(r"(?:/[0-9]{0,5})?", path) is None:
        raise ValueError("what stands behind the port must be / and the number of a database")
    return int(path[1:] or 0)


def _split(url: str) -> SplitResult:
    """Take a URL apart without a look at its hosts: there may be several, which urlsplit does not know."""
    scheme, _, rest = url.partition("://")
    rest, _, fragment = rest.partition("#")
    rest, _, query = rest.partition("?")
    netloc, slash, path = rest.partition("/")
    return SplitResult(scheme.lower(), netloc, slash + path, query, fragment)
