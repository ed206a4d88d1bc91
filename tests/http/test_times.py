from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from application.timestamps import timestamp
from entrypoints.http.representations import time_text

milliseconds = st.integers(0, 253_402_300_799_999)


@given(milliseconds)
def test_a_time_is_written_over_http_as_everywhere_else(number: int) -> None:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=number)
    assert time_text(moment) == timestamp(moment)


@given(st.integers(0, 253_402_300_799))
def test_a_time_of_a_full_second_is_too(number: int) -> None:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=number)
    assert time_text(moment) == timestamp(moment)
