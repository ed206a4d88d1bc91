"""Progress bars for long commands."""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TypeAlias

Advance: TypeAlias = Callable[[int], None]
"""Takes the amount done so far."""


def bytes_bar(total: int | None) -> AbstractContextManager[Advance]:
    """Show processed bytes on standard error inside the context, if that is a terminal."""
    return _bar("", total, of_bytes=True)


def users_bar(doing: str, total: int) -> AbstractContextManager[Advance]:
    """Show processed users in the same way, with a verb such as "copied"."""
    return _bar(doing, total, of_bytes=False)


@contextmanager
def _bar(doing: str, total: int | None, *, of_bytes: bool) -> Iterator[Advance]:
    # Imported late: it is slow, and most commands show no progress.
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    amount = DownloadColumn() if of_bytes else MofNCompleteColumn()
    columns = ("{task.description}", BarColumn(), amount, TimeRemainingColumn())
    quiet = not sys.stderr.isatty()
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=quiet) as progress:
        task = progress.add_task(doing, total=total)
        yield lambda done: progress.update(task, completed=done)
