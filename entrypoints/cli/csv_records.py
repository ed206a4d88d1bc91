"""Users as CSV (RFC 4180), with a header row of field names."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from io import StringIO
from typing import Final

from application.transfer.user_import import Rejected
from application.transfer.user_records import (
    CLEAR_TEXT_FIELD,
    FIELDS,
    HASH_FIELD,
    NO_PASSWORDS,
    REQUIRED_FIELDS,
    PlainRecord,
    RawRecord,
)
from entrypoints.cli.errors import CommandFailed
from entrypoints.cli.source import LineReader, SourceRecord, UnreadableLine

_MAX_LENGTH: Final = csv.field_size_limit()  # the parser's limit for one cell also bounds a record
_COLUMNS: Final = (*FIELDS, HASH_FIELD)
_FORMULA_STARTS: Final = frozenset("=+-@＝＋－＠")  # and the full-width forms
_CONTROLS: Final = frozenset("\t\r\n")
_BOOLEANS: Final = {"true": True, "false": False}


def read_csv(lines: LineReader) -> Iterator[SourceRecord]:
    """Yield one record per row, with the number of its first line; an empty cell is an omitted field.

    Raises:
        CommandFailed: Before any record, when the header is unusable.
    """
    rows = _rows(lines)
    header = _header(next(rows, None))
    return (SourceRecord(line, _record(header, row)) for line, row in rows)


def write_csv_header(*, with_password_hashes: bool) -> bytes:
    return _written([_COLUMNS if with_password_hashes else FIELDS])


def write_csv(records: Iterable[PlainRecord], *, spreadsheet_safe: bool = False) -> bytes:
    """Write rows. CSV cannot distinguish a missing text from an empty one.

    With `spreadsheet_safe`, an apostrophe precedes each text that a spreadsheet may take for a formula (OWASP, CSV
    injection).
    """
    cell = _inert_cell if spreadsheet_safe else _cell
    return _written(map(cell, record.values()) for record in records)


class _LinesOfOneRow:
    """Feeds lines to the CSV parser, and stops it when an unclosed quote would swallow the rest of the file."""

    def __init__(self, lines: LineReader) -> None:
        self._lines = lines
        self._size = 0

    def begin(self) -> None:
        self._size = 0

    def __iter__(self) -> "_LinesOfOneRow":
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self._size += len(line)
        if self._size > _MAX_LENGTH:
            raise UnreadableLine("record_too_long", "must not be so long; is a quote not closed?")
        return line


def _rows(lines: LineReader) -> Iterator[tuple[int, Sequence[str] | Rejected]]:
    source = _LinesOfOneRow(lines)
    reader = csv.reader(source, strict=True)
    while True:
        source.begin()
        first = lines.number + 1
        try:
            row = next(reader)
            if row:
                yield first, row
        except UnreadableLine as error:
            yield first, error.refused
        except csv.Error:
            detail = f"must be CSV, but is not, up to line {lines.number}: look at the quotes"
            yield first, UnreadableLine("malformed_csv", detail).refused
        except StopIteration:
            return


def _header(first: tuple[int, Sequence[str] | Rejected] | None) -> Sequence[str]:
    if first is None:
        raise CommandFailed("the file is empty; a CSV file starts with a header such as: email,name")
    row = first[1]
    if isinstance(row, Rejected):
        raise CommandFailed(f"the header of the CSV file cannot be read: it {row.errors[0].detail}")
    header = [name.strip().lower() for name in row]
    for name in header:
        if name == CLEAR_TEXT_FIELD:
            raise CommandFailed(f"the CSV file has a column {name}: {NO_PASSWORDS}")
        if name not in _COLUMNS:
            # In a file without a header, a first cell with a dollar sign is a password hash: do not show it.
            shown = "" if "$" in name else f" {name[:40]!a}"
            raise CommandFailed(f"the CSV file has an unknown column{shown}; known are: {','.join(_COLUMNS)}")
    if len(set(header)) < len(header):
        raise CommandFailed("the CSV file has a duplicate column")
    for name in REQUIRED_FIELDS:
        if name not in header:
            raise CommandFailed(f"the CSV file has no column {name}; it needs at least: {','.join(REQUIRED_FIELDS)}")
    return header


def _record(header: Sequence[str], row: Sequence[str] | Rejected) -> RawRecord | Rejected:
    if isinstance(row, Rejected):
        return row
    if len(row) != len(header):
        return UnreadableLine("wrong_cell_count", f"has {len(row)} cells where the header has {len(header)}").refused
    record: dict[str, object] = {name: cell for name, cell in zip(header, row, strict=True) if cell}
    # A cell is always text. One that is neither a boolean nor a number stays text, which the parser rejects.
    for name in ("active", "email_verified"):
        if truth := record.get(name):
            record[name] = _BOOLEANS.get(str(truth).lower(), truth)
    if version := record.get("version"):
        record["version"] = _number(str(version))
    return record


def _number(cell: str) -> int | str:
    return int(cell) if cell.isascii() and cell.isdigit() and len(cell) <= 18 else cell


def _cell(value: str | int | bool | None) -> str | int | None:
    return str(value).lower() if isinstance(value, bool) else value


def _inert_cell(value: str | int | bool | None) -> str | int | None:
    is_formula = isinstance(value, str) and (value[:1] in _CONTROLS or value.lstrip()[:1] in _FORMULA_STARTS)
    return f"'{value}" if is_formula else _cell(value)


def _written(rows: Iterable[Iterable[str | int | None]]) -> bytes:
    text = StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
