import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs, urlsplit

_REGION: Final = re.compile(r"[a-z0-9-]+")
_TABLE: Final = re.compile(r"[A-Za-z0-9_.-]{3,255}")


@dataclass(frozen=True, slots=True)
class Address:
    """A parsed URL `dynamodb://region/table?endpoint=http://127.0.0.1:8000`. Without an endpoint, it is AWS's own."""

    region: str
    table: str
    endpoint: str | None


def parse_address(url: str) -> Address:
    """Parse a storage URL. Raise `ValueError`, which never repeats it."""
    try:
        parts = urlsplit(url)
        options = parse_qs(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise ValueError("write dynamodb://region/table") from None
    if "@" in parts.netloc:
        raise ValueError("it must not contain credentials: AWS's own settings, such as AWS_PROFILE, provide them")
    table = parts.path.removeprefix("/")
    if (
        parts.scheme != "dynamodb"
        or parts.fragment
        or not _REGION.fullmatch(parts.netloc)
        or not _TABLE.fullmatch(table)
    ):
        raise ValueError("write dynamodb://region/table, the table of 3 to 255 letters, digits, '_', '.' and '-'")
    endpoints = options.pop("endpoint", [])
    if options:
        raise ValueError("it has an unknown option; known: endpoint")
    return Address(parts.netloc, table, _checked(endpoints))


def _checked(endpoints: list[str]) -> str | None:
    if not endpoints:
        return None
    try:
        parts = urlsplit(endpoints[0])
        well_formed = parts.scheme in {"http", "https"} and parts.hostname and "@" not in parts.netloc
        well_formed = well_formed and parts.port != 0 and parts.path in {"", "/"} and not parts.query + parts.fragment
    except ValueError:
        well_formed = False
    if len(endpoints) > 1 or not well_formed:
        raise ValueError("its endpoint must be one http:// or https:// address, without a path")
    return endpoints[0]
