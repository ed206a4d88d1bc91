"""Parse the URL of a mail destination."""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final, TypeAlias
from urllib.parse import SplitResult, unquote, urlsplit


class Security(StrEnum):
    """How an SMTP connection is protected, by the scheme of its URL."""

    STARTTLS_IF_OFFERED = "smtp"
    STARTTLS = "smtp+starttls"
    TLS = "smtps"


_PORTS: Final = {Security.STARTTLS_IF_OFFERED: 25, Security.STARTTLS: 587, Security.TLS: 465}
_FILE: Final = "file:"
_FORMATS: Final = "smtp://, smtp+starttls:// or smtps://[user:password@]host[:port], or file:DIRECTORY"


@dataclass(frozen=True, slots=True)
class Login:
    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SmtpServer:
    security: Security
    host: str
    port: int
    login: Login | None = None


Destination: TypeAlias = SmtpServer | Path


def parse_destination(url: str) -> Destination:
    """Return the server or directory that a URL names. Raises `ValueError`, whose text contains no part of the URL."""
    if url.startswith(_FILE):
        directory = url.removeprefix(_FILE)
        if not directory or directory.startswith("//"):
            raise ValueError("write a directory as file:mail or file:/var/mail/userport")
        return Path(directory)
    scheme, separator, _ = url.partition("://")
    if not separator or scheme not in list(Security):
        raise ValueError(f"write it as {_FORMATS}")
    return _parse_server(Security(scheme), url)


def _parse_server(security: Security, url: str) -> SmtpServer:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(
            "the host or the port is malformed; percent-encode reserved characters in the password"
        ) from None
    if not parts.hostname or not parts.hostname.isprintable() or " " in parts.hostname:
        raise ValueError("the host is missing")
    if port == 0:
        raise ValueError("the port is 0")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError("nothing may follow the host and port; percent-encode reserved characters in the password")
    return SmtpServer(security, parts.hostname, port or _PORTS[security], _parse_login(parts))


def _parse_login(parts: SplitResult) -> Login | None:
    if parts.username is None:
        return None
    if not parts.username or not parts.password:
        raise ValueError("write the user and the password as user:password@host")
    return Login(unquote(parts.username), unquote(parts.password))
