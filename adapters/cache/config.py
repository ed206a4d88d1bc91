import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from ssl import SSLContext, create_default_context
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from adapters.tls import check_authorities

_FORM: Final = "write redis://user:password@host:port/0; in a name or a password, write %40 for @"


@dataclass(frozen=True, slots=True)
class CacheConfig:
    """The content of a cache URL."""

    host: str
    port: int
    username: str | None
    password: str | None = field(repr=False)
    database: int
    tls: SSLContext | None

    @property
    def login(self) -> Sequence[tuple[str | int, ...]]:
        """The commands with which a connection starts."""
        select = ("SELECT", self.database)
        if self.username is None and self.password is None:
            return [select]
        return [("AUTH", *([] if self.username is None else [self.username]), self.password or ""), select]

    @classmethod
    def parse(cls, url: str) -> "CacheConfig":
        """Parse a cache URL. Raise `ValueError`, whose text contains no part of it."""
        if not url.startswith(("redis://", "rediss://")):
            raise ValueError("it must start with redis:// or rediss://")
        try:
            parts = urlsplit(url)
            port = 6379 if parts.port is None else parts.port
            options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
        except ValueError:
            raise ValueError(_FORM) from None
        if not parts.hostname or port == 0 or not re.fullmatch(r"(?:/[0-9]{0,5})?", parts.path) or parts.fragment:
            raise ValueError(_FORM)
        if options.keys() - {"ssl_ca"} or (options and parts.scheme == "redis"):
            raise ValueError("its only option is ssl_ca, of rediss://")
        return cls(
            host=parts.hostname,
            port=port,
            username=unquote(parts.username or "") or None,
            password=unquote(parts.password or "") or None,
            database=int(parts.path[1:] or 0),
            tls=_tls(options.get("ssl_ca")) if parts.scheme == "rediss" else None,
        )


def _tls(authorities: str | None) -> SSLContext:
    if authorities is not None:
        check_authorities("the file of its option ssl_ca", authorities)
    return create_default_context(cafile=authorities)
