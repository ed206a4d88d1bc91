"""Which storage a URL stands for."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Final, cast

from domain.storage import Storage
from entrypoints.settings import SettingsError


@dataclass(frozen=True, slots=True)
class StorageKind:
    """How to open the storages of one scheme.

    An embedded storage belongs to this service alone, which may therefore prepare it without being asked; one that
    is shared can be opened by several processes.
    """

    opener: str  # "module:callable", imported when it is needed, since its driver may not be installed
    embedded: bool = False
    shared: bool = True
    extra: str | None = None

    def open(self, url: str) -> Storage:
        module, _, name = self.opener.partition(":")
        opener = cast("Callable[[str], Storage]", getattr(import_module(module), name))
        try:
            return opener(url)
        except ModuleNotFoundError as error:
            install = f": pip install 'userport[{self.extra}]'" if self.extra else ""
            raise SettingsError(f"this storage needs the package {error.name}{install}") from error
        except ValueError as error:
            raise SettingsError(f"the storage URL is wrong: {error}") from error


_KINDS: Final = {
    "memory": StorageKind("adapters.memory.storage:open_storage", embedded=True, shared=False),
    "sqlite": StorageKind("adapters.sql.storage:open_storage", embedded=True),
    "postgresql": StorageKind("adapters.sql.storage:open_storage", extra="postgresql"),
    "mysql": StorageKind("adapters.sql.storage:open_storage", extra="mysql"),
    "mariadb": StorageKind("adapters.sql.storage:open_storage", extra="mariadb"),
}


def storage_kind(url: str) -> StorageKind:
    """Find the kind by the URL's scheme; raises `SettingsError`, which never repeats the URL."""
    scheme, separator, _ = url.partition("://")
    kind = _KINDS.get(scheme)
    if not separator or kind is None:
        raise SettingsError(f"the storage URL must start with one of: {', '.join(f'{known}://' for known in _KINDS)}")
    return kind


def open_storage(url: str) -> Storage:
    """Open the storage that a URL stands for, without connecting yet. Raises `SettingsError`."""
    return storage_kind(url).open(url)
