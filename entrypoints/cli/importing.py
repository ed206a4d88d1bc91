"""Import users from a file or from standard input."""

import asyncio
import os
import signal
import stat
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

from application.transfer.user_import import BATCH, Imported, Outcome, Parsed, Rejected
from application.transfer.user_records import RawRecord
from entrypoints.cli.csv_records import read_csv
from entrypoints.cli.errors import CommandFailed, format_error
from entrypoints.cli.formats import Format, format_by_content, format_by_name
from entrypoints.cli.interpreter import collect_young, gc_paused, short_thread_turns
from entrypoints.cli.ndjson import read_ndjson
from entrypoints.cli.progress import bytes_bar
from entrypoints.cli.rejects import rejects_to
from entrypoints.cli.session import ensure_prepared, open_container
from entrypoints.cli.source import LineReader, SourceRecord
from entrypoints.settings import Settings

_BATCH_BYTES: Final = 1024 * 1024
_BATCHES_BETWEEN_COLLECTIONS: Final = 20
_READERS: Final = {Format.CSV: read_csv, Format.NDJSON: read_ndjson}


class _Batch(NamedTuple):
    """Some records, and the position in the file behind them."""

    records: Sequence[SourceRecord]
    last_line: int
    bytes_read: int


@dataclass(slots=True)
class ImportSummary:
    """The counts of an import so far."""

    added: int = 0
    already_there: int = 0
    refused: int = 0
    line: int = 0

    def count(self, outcome: Outcome) -> None:
        match outcome:
            case Imported.ADDED:
                self.added += 1
            case Imported.ALREADY_THERE:
                self.already_there += 1
            case Rejected():
                self.refused += 1

    def __str__(self) -> str:
        return f"{self.added} added, {self.already_there} already there, {self.refused} refused"


async def import_from(
    name: str, given_format: Format | None, settings: Settings, *, rejects_file: Path | None, dry_run: bool
) -> ImportSummary:
    """Import a file, or standard input for "-", in bounded memory.

    Raises:
        CommandFailed: The import ends before the file does. The text says how far it got.
    """
    with ExitStack() as stack:
        stream = stack.enter_context(_open_source(name))
        reject = stack.enter_context(rejects_to(rejects_file, source=name))
        advance = stack.enter_context(bytes_bar(_size(stream)))
        lines = LineReader(stream)
        file_format = given_format or format_by_name(name) or format_by_content(stream)
        records = _READERS[file_format](lines)
        tally = ImportSummary()
        async with open_container(settings) as container:
            await ensure_prepared(container)
            user_import = container.user_import(dry_run=dry_run)

            async def store(batch: _Batch, parsed: Sequence[Parsed]) -> None:
                for record, outcome in zip(batch.records, await user_import.store(parsed), strict=True):
                    tally.count(outcome)
                    if isinstance(outcome, Rejected):
                        reject(record, outcome)
                tally.line = batch.last_line
                advance(batch.bytes_read)

            batches = _interruptible(_batches(records, lines))
            with _report_progress(tally), gc_paused(), short_thread_turns():
                await _each(batches, user_import.parse, store, read_ahead=_size(stream) is not None)
    return tally


async def _each(
    batches: Iterator[_Batch],
    parse: Callable[[Sequence[RawRecord | Rejected]], Awaitable[Sequence[Parsed]]],
    store: Callable[[_Batch, Sequence[Parsed]], Coroutine[Any, Any, None]],
    *,
    read_ahead: bool,
) -> None:
    """Store the batches in order. With `read_ahead`, parse the next batch during the write (a pipe would block it)."""
    storing: asyncio.Task[None] | None = None
    try:
        for number, batch in enumerate(batches, start=1):
            parsed = await parse([record.content for record in batch.records])
            if storing is not None:
                await asyncio.shield(storing)
            storing = asyncio.create_task(store(batch, parsed))
            await (asyncio.sleep(0) if read_ahead else asyncio.shield(storing))  # the write starts first
            if number % _BATCHES_BETWEEN_COLLECTIONS == 0:
                collect_young()
    finally:
        if storing is not None:
            await storing  # count what was written, even if reading failed


@contextmanager
def _open_source(name: str) -> Iterator[BufferedReader]:
    if name == "-":
        yield cast("BufferedReader", sys.stdin.buffer)
    else:
        with Path(name).open("rb") as stream:
            yield stream


def _size(stream: BufferedReader) -> int | None:
    status = os.fstat(stream.fileno())
    return status.st_size if stat.S_ISREG(status.st_mode) else None


@contextmanager
def _report_progress(tally: ImportSummary) -> Iterator[None]:
    try:
        yield
    except (Exception, KeyboardInterrupt, asyncio.CancelledError) as error:
        # The task is cancelled for one reason only: Ctrl-C.
        reason, exit_code = format_error(KeyboardInterrupt() if isinstance(error, asyncio.CancelledError) else error)
        far = f"stopped after line {tally.line} with {tally}; run the same command again to complete it"
        raise CommandFailed(f"{reason.removesuffix('.')} - {far}", exit_code) from error


def _interruptible(batches: Iterator[_Batch]) -> Iterator[_Batch]:
    """Let Ctrl-C interrupt a blocking read: the event loop's own handler would wait for the next line."""
    while True:
        handler = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            batch = next(batches, None)
        finally:
            signal.signal(signal.SIGINT, handler)
        if batch is None:
            return
        yield batch


def _batches(records: Iterator[SourceRecord], lines: LineReader) -> Iterator[_Batch]:
    """Group records into batches that stay small even when the records are large."""
    batch: list[SourceRecord] = []
    begun_at = lines.bytes_read
    for record in records:
        batch.append(record)
        if len(batch) == BATCH or lines.bytes_read - begun_at > _BATCH_BYTES:
            yield _Batch(batch, lines.number, lines.bytes_read)
            batch = []
            begun_at = lines.bytes_read
    if batch:
        yield _Batch(batch, lines.number, lines.bytes_read)
