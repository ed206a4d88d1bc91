"""Showing how far a file has been read."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

Advance: TypeAlias = Callable[[int], None]
"""Takes the number of bytes read so far."""


@contextmanager
def progress_bar(total: int | None) -> Iterator[Advance]:
    """Show a bar on standard error while the context lasts; nothing where that is no terminal."""
    columns = (BarColumn(), DownloadColumn(), TimeRemainingColumn())
    quiet = not sys.stderr.isatty()
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=quiet) as progress:
        task = progress.add_task("", total=total)
        yield lambda bytes_read: progress.update(task, completed=bytes_read)
