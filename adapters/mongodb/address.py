"""Parse and validate storage URLs before connecting."""

import logging
from collections.abc import Callable, Mapping
from datetime import UTC
from typing import Any, Final, TypeAlias
from urllib.parse import parse_qsl

from pymongo import AsyncMongoClient
from pymongo.errors import InvalidURI, PyMongoError
from pymongo.monitoring import ConnectionPoolListener, ServerHeartbeatListener
from pymongo.uri_parser import parse_uri

from adapters.mongodb.documents import Document
from adapters.mongodb.monitoring import MAX_CONNECTIONS
from adapters.storage_urls import repeats_host
from adapters.tls import check_authorities, check_identity

Client: TypeAlias = AsyncMongoClient[Document]

_OPTIONS: Final = (
    "appName",
    "authMechanism",
    "authSource",
    "directConnection",
    "replicaSet",
    "retryWrites",
    "tls",
    "tlsCAFile",
    "tlsCertificateKeyFile",
    "w",
)
_TLS_FILES: Final[Mapping[str, Callable[[str, str], None]]] = {
    "tlsCAFile": check_authorities,
    "tlsCertificateKeyFile": check_identity,
}
_SETTINGS: Final[dict[str, Any]] = {
    "tz_aware": True,
    "tzinfo": UTC,
    "maxPoolSize": MAX_CONNECTIONS,
    "connectTimeoutMS": 3_000,  # also bounds how long the driver's monitors wait
}

# The driver can log commands, which contain password hashes.
logging.getLogger("pymongo").setLevel(logging.WARNING)


def client_for(url: str, *listeners: ConnectionPoolListener | ServerHeartbeatListener) -> tuple[Client, str]:
    """Return a client, which connects on first use, and the name of the database.

    Raises `ValueError`, which never repeats the URL.
    """
    scheme, _, rest = url.partition("://")
    _check_options(rest.partition("?")[2], tls="true" if scheme == "mongodb+srv" else "false")
    try:
        # The client would only warn about an invalid option, and ignore it.
        parts = parse_uri(f"mongodb://{rest}")
        database = parts["database"]
        if not database or parts["collection"]:
            raise InvalidURI
        nodes: list[tuple[str, int]] = parts["nodelist"]
        client = Client(url, event_listeners=listeners, **_SETTINGS)
    except (PyMongoError, ValueError, TypeError, OSError):
        raise ValueError(
            "write mongodb://user:password@host:port/database, with reserved characters in the name and the password "
            "percent-encoded, options as MongoDB's manual has them, and files that are there"
        ) from None
    if repeats_host(nodes):
        raise ValueError("it repeats a host")
    return client, database


def _check_options(query: str, *, tls: str) -> None:
    """Check the options of a URL; `tls` is the default of the option of that name."""
    pairs = parse_qsl(query, keep_blank_values=True)
    options = {name.lower(): value for name, value in pairs}
    if len(options) < len(pairs):
        raise ValueError("it repeats an option")
    if options.keys() - {option.lower() for option in _OPTIONS}:
        raise ValueError(f"it has an unknown option; known: {', '.join(_OPTIONS)}")
    if options.get("w", "majority") != "majority":
        raise ValueError("its option w must be majority, because every commit is durable")
    files = {name: options[name.lower()] for name in _TLS_FILES if name.lower() in options}
    if files and options.get("tls", tls) != "true":
        raise ValueError(f"its option {next(iter(files))} needs tls=true")
    for name, file in files.items():
        _TLS_FILES[name](f"the file of its option {name}", file)
