import os
from pathlib import Path
from typing import BinaryIO


def open_private(path: Path) -> BinaryIO:
    """Open a new file for writing, of mode 600 from its first moment on, in place of a file that is there.

    A pipe or a device is opened as it is. Raises OSError.
    """
    if path.exists() and not path.is_file():
        return path.open("wb")
    path.unlink(missing_ok=True)  # whoever could read the old file, or has it open, must not read the new one
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
