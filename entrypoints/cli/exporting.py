"""Writing all users to a file or a pipe."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from application.user_records import to_record
from entrypoints.cli.csv_records import write_csv
from entrypoints.cli.formats import Format
from entrypoints.cli.ndjson import write_ndjson
from entrypoints.cli.session import opened
from entrypoints.settings import Settings


async def export_to(file: Path | None, file_format: Format, settings: Settings) -> None:
    """Write all users, a batch at a time; without a file, to standard output."""
    async with opened(settings) as container:
        await container.storage().ping()
        with _written(file) as output:
            if file_format is Format.CSV:
                output.write(write_csv([], with_header=True))
            async for batch in container.user_export().batches():
                records = map(to_record, batch)
                is_csv = file_format is Format.CSV
                output.write(write_csv(records, with_header=False) if is_csv else write_ndjson(records))
            output.flush()


@contextmanager
def _written(file: Path | None) -> Iterator[BinaryIO]:
    """Open what to write to. A file gets its name when complete: half an export is none."""
    if file is None:
        yield sys.stdout.buffer
    elif file.exists() and not file.is_file():  # a named pipe, a device
        with file.open("wb") as output:
            yield output
    else:
        partial = file.with_name(f"{file.name}.part")
        try:
            with partial.open("wb") as output:
                yield output
            partial.replace(file)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
