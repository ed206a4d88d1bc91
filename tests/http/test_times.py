from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from application.timestamps import timestamp
from entrypoints.http.representations import time_texts

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

milliseconds = st.integers(0, 253_402_300_799_999)
full_seconds = st.integers(0, 253_402_300_799).map(lambda seconds: seconds * 1_000)


@given(st.lists(milliseconds | full_seconds))
def test_times_are_written_over_http_as_everywhere_else(numbers: list[int]) -> None:
    moments = [EPOCH + timedelta(milliseconds=number) for number in numbers]
    assert time_texts(moments) == [timestamp(moment) for moment in moments]
