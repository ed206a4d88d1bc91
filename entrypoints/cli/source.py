"""Reading text that somebody else wrote, line by line, without ever holding more than a little of it."""

from typing import BinaryIO, Final, NamedTuple

from application.transfer.user_import import Refused
from application.transfer.user_records import RawRecord
from domain.errors import FieldError

LONGEST: Final = 256 * 1024
"""The bytes that a line may have."""

_WHOLE_RECORD: Final = ""


class SourceRecord(NamedTuple):
    """One record of a file: where it begins, and what it says or why it cannot be read."""

    line: int
    content: RawRecord | Refused


class Unreadable(Exception):
    """A line or a record that cannot be read; the next one can."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.refused = Refused((FieldError(_WHOLE_RECORD, code, detail),))


class Lines:
    """The lines of a UTF-8 file with their ends; a byte order mark is dropped.

    An iterator that goes on after an error: `next` raises `Unreadable` for a line that is too long or no UTF-8.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.number = 0
        self.bytes_read = 0

    def __iter__(self) -> "Lines":
        return self

    def __next__(self) -> str:
        line = self.read()
        if not line:
            raise StopIteration
        return self.text(line)

    def read(self) -> bytes:
        """Read the next line as it stands in the file, nothing at its end; raises `Unreadable` for one too long."""
        line = self._read()
        if not line:
            return line
        self.number += 1
        if len(line) > LONGEST:
            while line and not line.endswith(b"\n"):
                line = self._read()
            raise Unreadable("line_too_long", f"must be a line of at most {LONGEST // 1024} KiB")
        return line

    def text(self, line: bytes) -> str:
        """Decode the line that was read last; raises `Unreadable` when it is no UTF-8."""
        try:
            text = line.decode()
        except UnicodeDecodeError:
            raise Unreadable("not_utf8", "must be UTF-8 text") from None
        return text.removeprefix("\ufeff") if self.number == 1 else text

    def _read(self) -> bytes:
        line = self._stream.readline(LONGEST + 1)
        self.bytes_read += len(line)
        return line
