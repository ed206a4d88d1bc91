"""Users as CSV (RFC 4180), with a header that names the fields."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from io import StringIO
from typing import Final

from application.transfer.user_import import Refused
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
from entrypoints.cli.source import Lines, SourceRecord, Unreadable

_LONGEST: Final = csv.field_size_limit()  # what the parser takes as one cell is enough for a whole record
_COLUMNS: Final = (*FIELDS, HASH_FIELD)
_FORMULA_STARTS: Final = frozenset("=+-@＝＋－＠")  # the last four are as East Asian keyboards type the first
_CONTROLS: Final = frozenset("\t\r\n")
_TRUTH: Final = {"true": True, "false": False}


def read_csv(lines: Lines) -> Iterator[SourceRecord]:
    """Read one record a row, under the number of the line that it begins at; an empty cell is a field not given.

    Raises `CommandFailed`, before any record, when the header is not one that can be followed.
    """
    rows = _rows(lines)
    header = _header(next(rows, None))
    return (SourceRecord(line, _record(header, row)) for line, row in rows)


def write_csv_header(*, with_password_hashes: bool) -> bytes:
    return _written([_COLUMNS if with_password_hashes else FIELDS])


def write_csv(records: Iterable[PlainRecord], *, spreadsheet_safe: bool = False) -> bytes:
    """Write rows; no name and an empty one look alike in CSV.

    With `spreadsheet_safe`, an apostrophe stands before each text that a spreadsheet may take for a formula, as OWASP
    advises against CSV injection.
    """
    cell = _inert_cell if spreadsheet_safe else _cell
    return _written(map(cell, record.values()) for record in records)


class _LinesOfOneRow:
    """Hands lines to the CSV parser, and stops it when a quote that is never closed would take in the whole file."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._size = 0

    def begin(self) -> None:
        self._size = 0

    def __iter__(self) -> "_LinesOfOneRow":
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self._size += len(line)
        if self._size > _LONGEST:
            raise Unreadable("record_too_long", "must not be so long; is a quote not closed?")
        return line


def _rows(lines: Lines) -> Iterator[tuple[int, Sequence[str] | Refused]]:
    source = _LinesOfOneRow(lines)
    reader = csv.reader(source, strict=True)
    while True:
        source.begin()
        first = lines.number + 1
        try:
            row = next(reader)
            if row:
                yield first, row
        except Unreadable as error:
            yield first, error.refused
        except csv.Error:
            detail = f"must be CSV, but is not, up to line {lines.number}: look at the quotes"
            yield first, Unreadable("malformed_csv", detail).refused
        except StopIteration:
            return


def _header(first: tuple[int, Sequence[str] | Refused] | None) -> Sequence[str]:
    if first is None:
        raise CommandFailed("the file is empty; a CSV file begins with a header such as: email,name")
    row = first[1]
    if isinstance(row, Refused):
        raise CommandFailed(f"the header of the CSV file cannot be read: it {row.errors[0].detail}")
    header = [name.strip().lower() for name in row]
    for name in header:
        if name == CLEAR_TEXT_FIELD:
            raise CommandFailed(f"the CSV file has a column {name}: {NO_PASSWORDS}")
        if name not in _COLUMNS:
            # Where the header was forgotten, a name with a dollar sign is a password's hash.
            shown = "" if "$" in name else f" {name[:40]!a}"
            raise CommandFailed(f"the CSV file has an unknown column{shown}; known are: {','.join(_COLUMNS)}")
    if len(set(header)) < len(header):
        raise CommandFailed("the CSV file has a column twice")
    for name in REQUIRED_FIELDS:
        if name not in header:
            raise CommandFailed(f"the CSV file has no column {name}; it needs at least: {','.join(REQUIRED_FIELDS)}")
    return header


def _record(header: Sequence[str], row: Sequence[str] | Refused) -> RawRecord | Refused:
    if isinstance(row, Refused):
        return row
    if len(row) != len(header):
        return Unreadable("wrong_cell_count", f"has {len(row)} cells where the header has {len(header)}").refused
    record: dict[str, object] = {name: cell for name, cell in zip(header, row, strict=True) if cell}
    # A cell is always text; what stands for neither a truth value nor a number stays text, and is refused as such.
    for name in ("active", "email_verified"):
        if truth := record.get(name):
            record[name] = _TRUTH.get(str(truth).lower(), truth)
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
