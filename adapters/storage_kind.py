from collections.abc import Callable
from dataclasses import dataclass

from domain.storage import Storage


@dataclass(frozen=True, slots=True)
class StorageKind:
    """What a package offers in the entry-point group `userport.storages`, under the scheme of its URLs.

    `open` connects to nothing yet; it raises `ValueError`, which repeats nothing of the URL, when that is wrong.

    An embedded storage belongs to this service alone, which may therefore prepare it without being asked; one that
    is shared can be opened by several processes.
    """

    open: Callable[[str], Storage]
    embedded: bool = False
    shared: bool = True
