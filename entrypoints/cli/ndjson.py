"""Users as NDJSON: one JSON object per line."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import orjson

from application.transfer.user_records import RawRecord
from entrypoints.cli.source import LineReader, SourceRecord, UnreadableLine


def read_ndjson(lines: LineReader) -> Iterator[SourceRecord]:
    """Yield one record per line. A line that is not a JSON object is rejected; a blank line is skipped."""
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
    """Decode the common case fast; return None when the line needs the strict decoder.

    orjson does not report duplicate names, but a line with duplicates has more quotes than its names and texts.
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
    except (ValueError, RecursionError):  # a number of thousands of digits is a ValueError
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
    raise ValueError  # RFC 8259 has no NaN and no Infinity


_PLAIN: Final = frozenset({str, bool, int, type(None)})
# The standard library's decoder reports duplicate names.
_DECODE: Final = json.JSONDecoder(object_pairs_hook=_without_repetition, parse_constant=_refuse_constant).decode
