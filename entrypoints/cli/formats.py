"""The file formats of imports and exports."""

from enum import StrEnum
from io import BufferedReader
from typing import Final


class Format(StrEnum):
    CSV = "csv"
    NDJSON = "ndjson"


_ENDINGS: Final = {".csv": Format.CSV, ".ndjson": Format.NDJSON, ".jsonl": Format.NDJSON}
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


def format_by_name(name: str) -> Format | None:
    """Return the format for a file's extension, or None."""
    return next((known for ending, known in _ENDINGS.items() if name.lower().endswith(ending)), None)


def format_by_content(stream: BufferedReader) -> Format:
    """Guess the format from the first bytes without consuming them: an object starts with a brace.

    A wrong guess is harmless: a header with an unknown column is rejected.
    """
    beginning = stream.peek(64).removeprefix(_BYTE_ORDER_MARK).lstrip()
    return Format.NDJSON if beginning.startswith(b"{") else Format.CSV
