"""`userport health`"""

from typing import Annotated, Final

import typer

from entrypoints.cli.errors import CommandFailed, ExitCode

_TIMEOUT_SECONDS: Final = 5


def health(
    url: Annotated[
        str | None, typer.Argument(help="URL of the service. [default: http://HOST:PORT]", show_default=False)
    ] = None,
) -> None:
    """Exit with 0 if the service is ready, which includes its storage. For health checks of containers."""
    from http.client import HTTPException
    from urllib.error import HTTPError
    from urllib.request import ProxyHandler, Request, build_opener

    base = _own_url() if url is None else url.rstrip("/")
    _check_url(base)
    try:
        with build_opener(ProxyHandler({})).open(Request(f"{base}/health/ready"), timeout=_TIMEOUT_SECONDS):  # noqa: S310
            typer.echo("ready")
    except HTTPError as error:
        error.close()
        raise CommandFailed(f"the service is not ready: it responds with {error.code}") from None
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise CommandFailed(f"the service does not respond: {getattr(reason, 'strerror', None) or reason}") from None


def _check_url(text: str) -> None:
    from urllib.parse import urlsplit

    try:
        url = urlsplit(text)
        valid = url.scheme in ("http", "https") and url.hostname is not None and url.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise CommandFailed("write the URL as http://127.0.0.1:8000", ExitCode.WRONG_USAGE)


def _own_url() -> str:
    from ipaddress import ip_address

    from entrypoints.settings import format_address, load_settings

    settings = load_settings()
    host = settings.host
    try:
        address = ip_address(host)
        if address.is_unspecified:
            host = "127.0.0.1" if address.version == 4 else "::1"
    except ValueError:
        pass  # a name
    return format_address(host, settings.port)
