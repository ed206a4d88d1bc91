"""Read untrusted text files line by line in bounded memory."""

from typing import BinaryIO, Final, NamedTuple

from application.transfer.user_import import Rejected
from application.transfer.user_records import RawRecord
from domain.errors import FieldError

MAX_LINE_BYTES: Final = 256 * 1024
"""The maximum size of a line."""

_WHOLE_RECORD: Final = ""


class SourceRecord(NamedTuple):
    """One record of a file: its first line, and its content or the reasons why it cannot be read."""

    line: int
    content: RawRecord | Rejected


class UnreadableLine(Exception):
    """A line or record that cannot be read. Reading can continue with the next one."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.refused = Rejected((FieldError(_WHOLE_RECORD, code, detail),))


class LineReader:
    """Iterates over the lines of a UTF-8 file, including their ends; drops a byte order mark.

    The iterator survives errors: `next` raises `UnreadableLine` for a line that is too long or not UTF-8.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.number = 0
        self.bytes_read = 0

    def __iter__(self) -> "LineReader":
        return self

    def __next__(self) -> str:
        line = self.read()
        if not line:
            raise StopIteration
        return self.text(line)

    def read(self) -> bytes:
        """Return the raw next line, empty at the end of the file. Raise `UnreadableLine` if it is too long."""
        line = self._read()
        if not line:
            return line
        self.number += 1
        if len(line) > MAX_LINE_BYTES:
            while line and not line.endswith(b"\n"):
                line = self._read()
            raise UnreadableLine("line_too_long", f"must be a line of at most {MAX_LINE_BYTES // 1024} KiB")
        return line

    def text(self, line: bytes) -> str:
        """Decode the line that was read last. Raise `UnreadableLine` if it is not UTF-8."""
        try:
            text = line.decode()
        except UnicodeDecodeError:
            raise UnreadableLine("not_utf8", "must be UTF-8 text") from None
        return text.removeprefix("\ufeff") if self.number == 1 else text

    def _read(self) -> bytes:
        line = self._stream.readline(MAX_LINE_BYTES + 1)
        self.bytes_read += len(line)
        return line
