from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from domain.record_types import RECORD_TYPES
from domain.records import RecordType
from domain.storage import Storage


class RecordTypeNotSupported(Exception):
    """A storage has no place for a record type; the text says what to do."""


class OpenStorage(Protocol):
    def __call__(self, url: str, record_types: Sequence[RecordType[Any]] = RECORD_TYPES, /) -> Storage:
        """Return a storage for records of these types, without connecting yet.

        Raises `ValueError` when the URL is wrong; its text repeats nothing of the URL. Raises `RecordTypeNotSupported`.
        """
        ...


@dataclass(frozen=True, slots=True)
class StoragePlugin:
    """What a package offers in the entry-point group `userport.storages`, under the scheme of its URLs.

    An embedded storage belongs to this service alone, which may therefore prepare it without being asked; one that
    is shared can be opened by several processes.
    """

    open: OpenStorage
    embedded: bool = False
    shared: bool = True
