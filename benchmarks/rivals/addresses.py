"""The URL of a rival's storage, in the notation of its libraries."""

import os
from typing import Final

from sqlalchemy import URL, make_url

VARIABLE: Final = "RIVAL_STORAGE"
"""The variable with the URL: sqlite:////absolute/path/file.db or postgresql://…"""

_SYNC: Final = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg"}
_ASYNC: Final = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}


def sync_url(url: str) -> URL:
    address = make_url(url)
    return address.set(drivername=_SYNC[address.drivername])


def async_url(url: str) -> URL:
    address = make_url(url)
    return address.set(drivername=_ASYNC[address.drivername])


def url_in_environment() -> str:
    return os.environ[VARIABLE]
