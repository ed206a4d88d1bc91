import os
from pathlib import Path
from typing import BinaryIO


def open_private(path: Path) -> BinaryIO:
    """Open a file for writing that has mode 600 from the start, replacing an existing one.

    A pipe or a device is opened as it is. Raises `OSError`.
    """
    if path.exists() and not path.is_file():
        return path.open("wb")
    path.unlink(missing_ok=True)  # a process that has the old file open must not read the new content
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
