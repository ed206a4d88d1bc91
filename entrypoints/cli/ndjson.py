"""Users as NDJSON: one JSON object a line."""

import json
from collections.abc import Iterable, Iterator
from typing import Final

import orjson

from application.user_records import PlainRecord, RawRecord
from entrypoints.cli.source import Lines, SourceRecord, Unreadable


def read_ndjson(lines: Lines) -> Iterator[SourceRecord]:
    """Read one record a line; a line that is no JSON object is a refused one, a blank line none."""
    while True:
        try:
            text = next(lines).strip()
            if text:
                yield SourceRecord(lines.number, _object(text))
        except Unreadable as error:
            yield SourceRecord(lines.number, error.refused)
        except StopIteration:
            return


def write_ndjson(records: Iterable[PlainRecord]) -> bytes:
    return b"".join(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE) for record in records)


def _object(text: str) -> RawRecord:
    try:
        record = _DECODE(text)
    except (ValueError, RecursionError):  # a number of thousands of digits is a ValueError too
        raise Unreadable("malformed_json", "must be JSON") from None
    if not isinstance(record, dict):
        raise Unreadable("wrong_type", "must be a JSON object")
    return record


def _without_repetition(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise Unreadable("repeated_field", "must not name a field twice")
    return members


def _refuse_constant(_: str) -> object:
    raise ValueError  # NaN and Infinity, which RFC 8259 does not know


# The standard library's decoder, since it is the one that tells of a name that comes twice.
_DECODE: Final = json.JSONDecoder(object_pairs_hook=_without_repetition, parse_constant=_refuse_constant).decode
