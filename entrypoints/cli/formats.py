"""Which format a file has."""

from enum import StrEnum
from io import BufferedReader
from typing import Final


class Format(StrEnum):
    CSV = "csv"
    NDJSON = "ndjson"


_ENDINGS: Final = {".csv": Format.CSV, ".ndjson": Format.NDJSON, ".jsonl": Format.NDJSON}
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


def format_by_name(name: str) -> Format | None:
    """Tell the format by a file's ending."""
    return next((known for ending, known in _ENDINGS.items() if name.lower().endswith(ending)), None)


def format_by_beginning(stream: BufferedReader) -> Format:
    """Tell the format by the first bytes, and leave them to be read: an object begins with a brace, a header does not.

    A wrong guess does no harm, since a header with an unknown column is refused.
    """
    beginning = stream.peek(64).removeprefix(_BYTE_ORDER_MARK).lstrip()
    return Format.NDJSON if beginning.startswith(b"{") else Format.CSV
