"""Export all users to a file or to standard output."""

import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO

from application.transfer.user_export import UserExport
from application.transfer.user_records import PlainRecord, to_record, to_record_with_hash
from entrypoints.cli.csv_records import write_csv, write_csv_header
from entrypoints.cli.errors import CommandFailed, ExitCode
from entrypoints.cli.formats import Format
from entrypoints.cli.ndjson import write_ndjson
from entrypoints.cli.private_files import open_private
from entrypoints.cli.session import open_container
from entrypoints.settings import Settings


async def export_to(
    file: Path | None,
    file_format: Format,
    settings: Settings,
    *,
    with_password_hashes: bool = False,
    spreadsheet_safe: bool = False,
    with_records: bool = False,
) -> None:
    """Write all users in batches, to standard output if `file` is None."""
    if with_records and file_format is Format.CSV:
        raise CommandFailed("--with-records is for NDJSON: add --format ndjson", ExitCode.WRONG_USAGE)
    write = _writer(file_format, spreadsheet_safe=spreadsheet_safe)
    async with open_container(settings) as container:
        await container.storage().ping()
        with _written(file) as output:
            if file_format is Format.CSV:
                output.write(write_csv_header(with_password_hashes=with_password_hashes))
            async for records in _records(container.user_export(), with_password_hashes=with_password_hashes):
                output.write(write(records))
            if with_records:
                async for record in container.user_export().owned_records():
                    output.write(write_ndjson([record]))
            output.flush()


async def _records(export: UserExport, *, with_password_hashes: bool) -> AsyncIterator[Sequence[PlainRecord]]:
    if with_password_hashes:
        async for batch in export.batches_with_credentials():
            yield [to_record_with_hash(user, credential) for user, credential in batch]
    else:
        async for users in export.batches():
            yield [to_record(user) for user in users]


def _writer(file_format: Format, *, spreadsheet_safe: bool) -> Callable[[Iterable[PlainRecord]], bytes]:
    if file_format is Format.CSV:
        return partial(write_csv, spreadsheet_safe=spreadsheet_safe)
    if spreadsheet_safe:
        raise CommandFailed("--spreadsheet-safe is for CSV: add --format csv", ExitCode.WRONG_USAGE)
    return write_ndjson


@contextmanager
def _written(file: Path | None) -> Iterator[BinaryIO]:
    """Open the output. A regular file gets its name only when it is complete."""
    if file is None:
        yield sys.stdout.buffer
    elif file.exists() and not file.is_file():  # a named pipe or a device
        with open_private(file) as output:
            yield output
    else:
        incomplete = file.with_name(f"{file.name}.part")
        try:
            with open_private(incomplete) as output:
                yield output
            incomplete.replace(file)
        except BaseException:
            incomplete.unlink(missing_ok=True)
            raise
