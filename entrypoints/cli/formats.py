"""The file formats of imports and exports."""

from collections.abc import Iterator
from enum import StrEnum
from io import BufferedReader
from typing import Final

from entrypoints.cli.csv_records import read_csv
from entrypoints.cli.ndjson import read_ndjson
from entrypoints.cli.source import LineReader, SourceRecord


class Format(StrEnum):
    CSV = "csv"
    NDJSON = "ndjson"


_ENDINGS: Final = {".csv": Format.CSV, ".ndjson": Format.NDJSON, ".jsonl": Format.NDJSON}
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_READERS: Final = {Format.CSV: read_csv, Format.NDJSON: read_ndjson}


def format_by_name(name: str) -> Format | None:
    """Return the format that a file's extension stands for, or None."""
    return next((known for ending, known in _ENDINGS.items() if name.lower().endswith(ending)), None)


def format_by_beginning(stream: BufferedReader) -> Format:
    """Guess the format from the first bytes without consuming them: an object starts with a brace.

    A wrong guess is harmless: a header with an unknown column is rejected.
    """
    beginning = stream.peek(64).removeprefix(_BYTE_ORDER_MARK).lstrip()
    return Format.NDJSON if beginning.startswith(b"{") else Format.CSV


def read_records(lines: LineReader, file_format: Format) -> Iterator[SourceRecord]:
    """Yield the records of a file of users. Raise `CommandFailed` when it cannot be one."""
    return _READERS[file_format](lines)
