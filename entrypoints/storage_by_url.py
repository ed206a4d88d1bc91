"""Which storage a URL stands for: packages offer theirs in the entry-point group `userport.storages`."""

from collections.abc import Callable, Sequence
from functools import cache
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from typing import Final, TypeVar

from adapters.storage_kind import StorageKind
from domain.storage import Storage
from entrypoints.settings import SettingsError

T = TypeVar("T")

_GROUP: Final = "userport.storages"


@cache
def _offers() -> EntryPoints:
    return entry_points(group=_GROUP)


def schemes() -> Sequence[str]:
    """Name the schemes that are installed, whether or not their drivers are."""
    return sorted(_offers().names)


def storage_kind(url: str) -> StorageKind:
    """Find the kind by the URL's scheme; raises `SettingsError`, which never repeats the URL."""
    offer = _offer(url)
    kind = _with_its_packages(offer, offer.load)
    if not isinstance(kind, StorageKind):
        raise SettingsError(f"the package that offers {offer.name}:// is broken: {offer.value} is no StorageKind")
    return kind


def open_storage(url: str) -> Storage:
    """Open the storage that a URL stands for, without connecting yet. Raises `SettingsError`."""
    kind = storage_kind(url)
    try:
        return _with_its_packages(_offer(url), lambda: kind.open(url))
    except ValueError as error:
        raise SettingsError(f"the storage URL is wrong: {error}") from error


def _offer(url: str) -> EntryPoint:
    scheme, separator, _ = url.partition("://")
    offers = [offer for offer in _offers() if separator and offer.name == scheme]
    if not offers:
        known = ", ".join(f"{known}://" for known in schemes())
        raise SettingsError(f"the storage URL must start with one of: {known}")
    if len(offers) > 1:
        packages = " and ".join(sorted(offer.dist.name for offer in offers if offer.dist))
        raise SettingsError(f"several packages offer {scheme}://, so uninstall all but one: {packages}")
    return offers[0]


def _with_its_packages(offer: EntryPoint, action: Callable[[], T]) -> T:
    """Act, or say what has to be installed first: the extra of the offering package that is named as the scheme is."""
    try:
        return action()
    except ModuleNotFoundError as error:
        extra = offer.name.partition("+")[0]
        package = offer.dist
        has_extra = package is not None and extra in (package.metadata.get_all("Provides-Extra") or ())
        install = f": pip install '{package.name}[{extra}]'" if package and has_extra else ""
        raise SettingsError(f"{offer.name}:// needs the package {error.name}{install}") from error
    except (ImportError, AttributeError) as error:
        raise SettingsError(f"the package that offers {offer.name}:// is broken: {offer.value} is not there") from error
