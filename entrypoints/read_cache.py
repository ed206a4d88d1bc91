"""Wrap the storage in the cache that the settings name."""

import socket
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from domain.session import SESSIONS
from domain.storage import Storage
from entrypoints.environment import PREFIX, SettingsError
from entrypoints.settings import Settings
from entrypoints.storage_by_url import storage_plugin

if TYPE_CHECKING:
    from adapters.metrics.metrics import Metrics

_CACHED_TYPES: Final = (SESSIONS,)  # what authentication reads, besides users


def cache_reads(storage: Storage, settings: Settings, metrics: "Metrics | None" = None) -> Storage:
    """Return the storage behind the cache of the settings, if any, without connecting. Raise `SettingsError`."""
    if settings.cache is None:
        return storage
    try:
        from adapters.cache.config import CacheConfig
        from adapters.cache.storage import CachedStorage

        config = CacheConfig.parse(settings.cache)
    except ModuleNotFoundError as error:
        raise SettingsError(f"{PREFIX}CACHE needs the package {error.name}: pip install 'userport[redis]'") from error
    except ValueError as error:
        raise SettingsError(f"{PREFIX}CACHE is wrong: {error}") from error
    count_lookup = (lambda _: None) if metrics is None else metrics.lookup_counter()
    return CachedStorage(storage, config, _namespace(settings.storage), _CACHED_TYPES, count_lookup)


async def cache_warning(settings: Settings, storage: Storage) -> str | None:
    """Return a line for the operator if the storage has a cache that cannot be used."""
    if settings.cache is None:
        return None
    from adapters.cache.storage import CachedStorage

    failure = await storage.cache_failure() if isinstance(storage, CachedStorage) else None
    return failure and f"The cache is not used ({failure}): reads go to the storage until Redis is back"


def _namespace(url: str) -> str:
    """Return a namespace for the entries of one storage: a digest of its URL without credentials.

    An embedded storage is identified by machine and path. A storage in memory has a random namespace.
    """
    plugin = storage_plugin(url)
    scheme, _, rest = url.partition("://")
    if not plugin.shared:
        return token_hex(8)
    if plugin.embedded:
        path, _, options = rest.removeprefix("/").partition("?")
        place = f"{socket.gethostname()}/{Path(unquote(path)).resolve()}?{options}"
    else:
        hosts, separator, path = rest.partition("/")
        place = hosts.rpartition("@")[2] + separator + path
    return sha256(f"{scheme}://{place}".encode()).hexdigest()[:16]
