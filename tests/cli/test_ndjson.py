"""Both decoders read a line as the standard library does."""

import json
from io import BytesIO
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from application.transfer.user_import import Rejected
from entrypoints.cli.ndjson import read_ndjson
from entrypoints.cli.source import LineReader

_TEXTS: Final = st.builds(json.dumps, st.text('ab"\\/\n\0é\u2003🌍{}:,', max_size=5), ensure_ascii=st.booleans())
_NAMES: Final = st.one_of(st.sampled_from(['"a"', '"b"', '"\\u0061"', '""', '"a\\""', '"a\\\\"']), _TEXTS)
_OTHERS: Final = st.sampled_from(
    (
        *("null", "true", "false", "0", "-0", "7", "1.5", "1e3", "01", "NaN", "-Infinity", "18446744073709551615"),
        *("18446744073709551616", "-9223372036854775809", "[]", '["a"]', '{"a": "b"}', "nul", "", '"', "'a'"),
        *('"\\ud800"', '"\\ud83c\\udf0d"', '"\\u0022"', '"\\\\"', '"\\\\\\""', '"\\x"', '"\t"', "\ufeff"),
    )
)
_PAIRS: Final = st.lists(st.builds("{}: {}".format, _NAMES, st.one_of(_TEXTS, _OTHERS)), max_size=4)
_OBJECTS: Final = st.builds("{{{}}}".format, st.builds(", ".join, _PAIRS))
_AROUND: Final = st.sampled_from(["", "", "", " ", "\r", "\u2003", "\x1c", "x", "}", "\\", '"'])


def read(line: str) -> object:
    (record,) = read_ndjson(LineReader(BytesIO(b"\n" + line.encode())))  # the first line may have a byte order mark
    content = record.content
    return content.errors[0].code if isinstance(content, Rejected) else repr(content)


def read_by_the_book(line: str) -> object:
    names: list[int] = []

    def count(pairs: list[tuple[str, object]]) -> dict[str, object]:
        names.append(len(pairs) - len(dict(pairs)))
        return dict(pairs)

    def refuse(_: str) -> object:
        raise ValueError

    try:
        record = json.loads(line.strip(), object_pairs_hook=count, parse_constant=refuse)
    except ValueError:
        return "repeated_field" if any(names) else "malformed_json"
    if any(names):
        return "repeated_field"
    return repr(record) if isinstance(record, dict) else "wrong_type"


@given(line=st.builds("{}{}{}".format, _AROUND, _OBJECTS, _AROUND))
def test_an_object_is_what_the_standard_library_makes_of_it(line: str) -> None:
    assert read(line) == read_by_the_book(line)


@pytest.mark.parametrize(
    "line",
    [
        '{"a": "x", "a": "y"}',
        '{"a": 1, "a": 2}',
        '{"a": null, "\\u0061": null}',
        '{"a": "\\"", "a": "\\""}',
        '{"a": "\\\\", "a": "\\\\"}',
        '{"a\\"": "", "b": "\\\\", "a\\"": ""}',
    ],
)
def test_a_duplicate_name_is_noticed_with_any_quoting(line: str) -> None:
    assert read(line) == "repeated_field"
