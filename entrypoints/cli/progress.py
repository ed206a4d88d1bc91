"""Showing how far a long command has got."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, ProgressColumn, TimeRemainingColumn

Advance: TypeAlias = Callable[[int], None]
"""Takes how much is done so far."""


@contextmanager
def bytes_bar(total: int | None) -> Iterator[Advance]:
    """Show on standard error, while the context lasts, how many bytes are done; nothing where that is no terminal."""
    with _bar("", DownloadColumn(), total) as advance:
        yield advance


@contextmanager
def users_bar(doing: str, total: int) -> Iterator[Advance]:
    """Show in the same way how many users are done, and what is done with them."""
    with _bar(doing, MofNCompleteColumn(), total) as advance:
        yield advance


@contextmanager
def _bar(doing: str, amount: ProgressColumn, total: int | None) -> Iterator[Advance]:
    columns = ("{task.description}", BarColumn(), amount, TimeRemainingColumn())
    quiet = not sys.stderr.isatty()
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=quiet) as progress:
        task = progress.add_task(doing, total=total)
        yield lambda done: progress.update(task, completed=done)
