from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from domain.record_types import RECORD_TYPES
from domain.records import RecordType
from domain.storage import Storage


class RecordTypeNotSupported(Exception):
    """A storage cannot keep a record type; the text says what to do."""


@runtime_checkable
class PooledStorage(Protocol):
    """A storage that reports the connections which it has acquired. It may have `connections_idle` as well."""

    @property
    def connections_in_use(self) -> int: ...


@runtime_checkable
class BatchingStorage(Protocol):
    """A storage that serves concurrent calls together."""

    def observe_batches(self, count: Callable[[str, int], None]) -> None:
        """Call a function with the operation and the size of each batch of calls from now on."""
        ...


class OpenStorage(Protocol):
    def __call__(self, url: str, record_types: Sequence[RecordType[Any]] = RECORD_TYPES, /) -> Storage:
        """Return a storage for records of these types, without connecting.

        Raises:
            ValueError: The URL is wrong. The text contains no part of it.
            RecordTypeNotSupported: The storage cannot keep a record type.
        """
        ...


@dataclass(frozen=True, slots=True)
class StoragePlugin:
    """What a package registers in the entry-point group `userport.storages`, under the scheme of its URLs.

    An embedded storage is used by this service alone, which may therefore prepare it. Any other storage can be shared
    by several processes.
    """

    open: OpenStorage
    embedded: bool = False
    shared: bool = True
