"""Writing all users to a file or a pipe."""

import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from application.user_export import UserExport
from application.user_records import PlainRecord, to_record, to_record_with_hash
from entrypoints.cli.csv_records import write_csv, write_csv_header
from entrypoints.cli.formats import Format
from entrypoints.cli.ndjson import write_ndjson
from entrypoints.cli.session import opened
from entrypoints.settings import Settings


async def export_to(
    file: Path | None, file_format: Format, settings: Settings, *, with_password_hashes: bool = False
) -> None:
    """Write all users, a batch at a time; without a file, to standard output.

    A file with password hashes is nobody's to read but the owner's, from its first moment on.
    """
    write = write_csv if file_format is Format.CSV else write_ndjson
    async with opened(settings) as container:
        await container.storage().ping()
        with _written(file, mode=0o600 if with_password_hashes else 0o666) as output:
            if file_format is Format.CSV:
                output.write(write_csv_header(with_password_hashes=with_password_hashes))
            async for records in _records(container.user_export(), with_password_hashes=with_password_hashes):
                output.write(write(records))
            output.flush()


async def _records(export: UserExport, *, with_password_hashes: bool) -> AsyncIterator[Sequence[PlainRecord]]:
    if with_password_hashes:
        async for batch in export.batches_with_credentials():
            yield [to_record_with_hash(user, credential) for user, credential in batch]
    else:
        async for users in export.batches():
            yield [to_record(user) for user in users]


@contextmanager
def _written(file: Path | None, *, mode: int) -> Iterator[BinaryIO]:
    """Open what to write to. A file gets its name when complete: half an export is none."""
    if file is None:
        yield sys.stdout.buffer
    elif file.exists() and not file.is_file():  # a named pipe, a device
        with file.open("wb") as output:
            yield output
    else:
        partial = file.with_name(f"{file.name}.part")
        partial.unlink(missing_ok=True)  # what a killed run has left may have another mode
        partial.touch(mode, exist_ok=False)
        try:
            with partial.open("wb") as output:
                yield output
            partial.replace(file)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
