"""Find the storage for a URL. Packages register theirs in the entry-point group `userport.storages`."""

from collections.abc import Sequence
from importlib.metadata import EntryPoint
from typing import Any

from adapters.storage_plugin import RecordTypeNotSupported, StoragePlugin
from domain.record_types import RECORD_TYPES
from domain.records import RecordType
from domain.storage import Storage
from entrypoints.environment import SettingsError
from entrypoints.storage_schemes import schemes, storage_offers


def storage_plugin(url: str) -> StoragePlugin:
    """Return the plugin for the URL's scheme. Raise `SettingsError`, which never contains the URL."""
    offer = _offer(url)
    try:
        plugin = offer.load()
    except Exception as error:
        raise _not_loaded(offer, error) from error
    if not isinstance(plugin, StoragePlugin):
        raise SettingsError(f"the package that offers {offer.name}:// is broken: {offer.value} is not a StoragePlugin")
    return plugin


def open_storage(url: str, record_types: Sequence[RecordType[Any]] = RECORD_TYPES) -> Storage:
    """Return the storage for a URL without connecting. Raise `SettingsError`."""
    plugin = storage_plugin(url)
    try:
        return plugin.open(url, record_types)
    except ValueError as error:
        raise SettingsError(f"the storage URL is wrong: {error}") from error
    except RecordTypeNotSupported as error:
        raise SettingsError(str(error)) from error
    except ModuleNotFoundError as error:  # some plugins import their driver only now
        raise _not_loaded(_offer(url), error) from error


def _offer(url: str) -> EntryPoint:
    scheme, separator, _ = url.partition("://")
    offers = [offer for offer in storage_offers() if separator and offer.name == scheme]
    if not offers:
        known = ", ".join(f"{known}://" for known in schemes())
        raise SettingsError(f"the storage URL must start with one of: {known}")
    if len(offers) > 1:
        packages = " and ".join(sorted(offer.dist.name for offer in offers if offer.dist))
        raise SettingsError(f"several packages offer {scheme}://; uninstall all but one: {packages}")
    return offers[0]


def _not_loaded(offer: EntryPoint, error: Exception) -> SettingsError:
    """Return an error with the package to install: the extra of the plugin's package that is named like the scheme."""
    if not isinstance(error, ModuleNotFoundError) or f"{offer.module}.".startswith(f"{error.name}."):
        reason = f"{offer.value} cannot be loaded ({type(error).__name__})"
        return SettingsError(f"the package that offers {offer.name}:// is broken: {reason}")
    extra = offer.name.partition("+")[0]
    package = offer.dist
    has_extra = package is not None and extra in (package.metadata.get_all("Provides-Extra") or ())
    install = f": pip install '{package.name}[{extra}]'" if package and has_extra else ""
    return SettingsError(f"{offer.name}:// needs the package {error.name}{install}")
