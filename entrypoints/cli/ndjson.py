"""Users as NDJSON: one JSON object a line."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import orjson

from application.transfer.user_records import RawRecord
from entrypoints.cli.source import LineReader, SourceRecord, UnreadableLine


def read_ndjson(lines: LineReader) -> Iterator[SourceRecord]:
    """Read one record a line; a line that is no JSON object is a refused one, a blank line none."""
    while True:
        try:
            line = lines.read()
            if not line:
                return
            record = _plain_object(line)
            if record is None:
                text = lines.text(line).strip()
                if not text:
                    continue
                record = _object(text)
            yield SourceRecord(lines.number, record)
        except UnreadableLine as error:
            yield SourceRecord(lines.number, error.refused)


def write_ndjson(records: Iterable[Mapping[str, object]]) -> bytes:
    return b"".join(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE) for record in records)


def _plain_object(line: bytes) -> RawRecord | None:
    """Decode fast what has no pitfalls, as nearly every line does; None says nothing of a line.

    orjson does not tell of a name that comes twice, but then the line has more quotes than the names and texts in it.
    """
    try:
        record = orjson.loads(line)
    except ValueError:
        return None
    if type(record) is not dict:
        return None
    kinds = [*map(type, record.values())]
    if not _PLAIN.issuperset(kinds):
        return None
    quotes = line.count(b'"')
    if b"\\" in line:
        if b"\\\\" in line:
            return None
        quotes -= line.count(b'\\"')
    return record if quotes == 2 * (len(record) + kinds.count(str)) else None


def _object(text: str) -> RawRecord:
    try:
        record = _DECODE(text)
    except (ValueError, RecursionError):  # a number of thousands of digits is a ValueError too
        raise UnreadableLine("malformed_json", "must be JSON") from None
    if not isinstance(record, dict):
        raise UnreadableLine("wrong_type", "must be a JSON object")
    return record


def _without_repetition(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise UnreadableLine("repeated_field", "must not name a field twice")
    return members


def _refuse_constant(_: str) -> object:
    raise ValueError  # NaN and Infinity, which RFC 8259 does not know


_PLAIN: Final = frozenset({str, bool, int, type(None)})
# The standard library's decoder, since it is the one that tells of a name that comes twice.
_DECODE: Final = json.JSONDecoder(object_pairs_hook=_without_repetition, parse_constant=_refuse_constant).decode
