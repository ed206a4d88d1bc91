"""Sessions, their refresh tokens, and the count of failed sign-ins."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from string import ascii_letters, digits
from typing import Any, Final
from unicodedata import category

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from domain.errors import InvalidRefreshToken, InvalidValue, RefreshTokenReused
from domain.refresh_token import RefreshToken
from domain.session import Session
from domain.sign_in_failures import SignInFailures
from domain.values import SessionId, UserId, truncate_to_milliseconds
from tests.domain.texts import any_text

NOW: Final = datetime(2026, 11, 20, 20, 36, 0, 123_000, tzinfo=UTC)
USER_ID: Final = UserId("0193a7c5-0000-7000-8000-000000000000")
SESSION_ID: Final = SessionId("0193a7c5-0000-7000-8000-000000000001")
SALT: Final = "a grain of salt"
TOKEN: Final = RefreshToken.first(SESSION_ID, bytes(range(32)), SALT)
KEY: Final = "0" * 64

secrets = st.binary(min_size=RefreshToken.SECRET_BYTES, max_size=RefreshToken.SECRET_BYTES)
ids = st.uuids().map(lambda uuid: SessionId(str(uuid)))
tokens = st.builds(RefreshToken.first, ids, secrets, st.just(SALT))
moves = st.one_of(
    st.sampled_from([timedelta(0), timedelta(seconds=10), timedelta(seconds=10, milliseconds=1), timedelta(days=7)]),
    st.timedeltas(timedelta(seconds=-15), timedelta(seconds=15)),
    st.timedeltas(timedelta(days=-1), timedelta(days=8)),
)

base64url = st.sampled_from(f"{ascii_letters}{digits}-_")
nearly_tokens = st.one_of(
    st.text(base64url | st.sampled_from("+/="), min_size=84, max_size=92),
    st.builds("{}{}".format, st.text(base64url, min_size=88, max_size=88), st.sampled_from(["", "\n"])),
)


def begin(token: RefreshToken = TOKEN, **fields: Any) -> Session:
    given_fields = {"salt": SALT, "user_id": USER_ID, "user_agent": None, "place": None, "now": NOW, **fields}
    return Session.begin(token=token, **given_fields)


# Refresh tokens


@given(token=tokens)
def test_a_token_survives_being_written(token: RefreshToken) -> None:
    assert RefreshToken.parse(token.text) == token


@given(text=any_text | nearly_tokens)
@example(text="")
@example(text="A" * 88)
@example(text="é" * 88)
def test_any_text_is_refused_or_is_the_one_way_to_write_a_token(text: str) -> None:
    with suppress(InvalidValue):
        assert RefreshToken.parse(text).text == text


@given(token=tokens)
def test_the_repr_of_a_token_and_of_its_session_reveals_no_secret(token: RefreshToken) -> None:
    session = begin(token)
    hidden = (*map(repr, (token.secret, token.proof)), token.secret.hex(), token.text, token.digest, SALT)
    for shown in (repr(token), repr(session)):
        assert not [secret for secret in hidden if secret in shown]


@given(
    token=tokens, salts=st.lists(st.text(alphabet="0123456789abcdef", min_size=1), min_size=2, max_size=2, unique=True)
)
def test_a_successor_is_always_the_same_and_depends_on_the_salt(token: RefreshToken, salts: list[str]) -> None:
    mine, other = (token.successor(salt) for salt in salts)
    assert mine == token.successor(salts[0])
    assert mine.session_id == token.session_id
    assert len({token.secret, mine.secret, other.secret}) == 3


# Sessions


@given(steps=st.lists(st.tuples(moves, st.integers(0, 4)), max_size=30))
def test_after_any_refreshes_and_retries_one_token_is_current(steps: list[tuple[timedelta, int]]) -> None:
    """Tokens issued some uses ago are used, with a clock that may go back."""
    session, clock, issued, used_at = begin(), NOW, [TOKEN], list[datetime]()
    for move, ago in steps:
        clock += move
        nth = max(0, len(issued) - 1 - ago)
        now = max(truncate_to_milliseconds(clock), session.last_used_at)
        if clock >= session.expires_at:
            with pytest.raises(InvalidRefreshToken) as caught:
                session.refresh(issued[nth], clock)
            assert not isinstance(caught.value, RefreshTokenReused)
        elif nth == len(issued) - 1:
            before, (session, token) = session, session.refresh(issued[nth], clock)
            assert (session.version, session.last_used_at) == (before.version + 1, now)
            assert token not in issued
            issued.append(token)
            used_at.append(now)
        elif now - used_at[nth] <= timedelta(seconds=10):
            same, token = session.refresh(issued[nth], clock)
            assert same is session
            assert token == issued[-1]
        else:
            with pytest.raises(RefreshTokenReused):
                session.refresh(issued[nth], clock)
        assert [token.digest == session.token_digest for token in issued] == [False] * (len(issued) - 1) + [True]
        assert all(session.owns(token) for token in issued)
        assert session.last_used_at < session.expires_at
        assert session.expires_at <= session.last_used_at + timedelta(days=7)
        assert session.expires_at <= session.created_at + timedelta(days=30)


@given(secret=secrets, proof=st.binary(min_size=18, max_size=18), uses=st.integers(0, 5))
def test_a_token_of_another_session_does_not_belong_to_this_one(secret: bytes, proof: bytes, uses: int) -> None:
    session, current = begin(), TOKEN
    for _ in range(uses):
        session, current = session.refresh(current, NOW)
    foreign = (
        RefreshToken(SESSION_ID, current.secret, proof),
        RefreshToken(SESSION_ID, secret, bytes(18)),
        RefreshToken.first(SESSION_ID, secret, "another salt"),
        RefreshToken.first(SessionId(USER_ID), current.secret, SALT),
        RefreshToken(SessionId(USER_ID), current.secret, current.proof),
    )
    for token in foreign:
        assert not session.owns(token)
        with pytest.raises(InvalidRefreshToken) as caught:
            session.refresh(token, NOW)
        assert not isinstance(caught.value, RefreshTokenReused)


@given(secret=secrets, uses=st.integers(0, 5))
def test_a_token_that_only_looks_as_if_it_were_of_the_session_is_taken_for_stolen(secret: bytes, uses: int) -> None:
    session, current = begin(), TOKEN
    for _ in range(uses):
        session, current = session.refresh(current, NOW)
    for token in (RefreshToken.first(SESSION_ID, secret, SALT), current.successor(SALT)):
        with pytest.raises(RefreshTokenReused):
            session.refresh(token, NOW)


def test_of_refreshes_in_a_rush_the_last_hundred_can_be_repeated_and_those_before_end_nothing() -> None:
    session, issued = begin(), [TOKEN]
    for _ in range(150):
        session, token = session.refresh(issued[-1], NOW)
        issued.append(token)
    for ago in range(1, 101):
        assert session.refresh(issued[-1 - ago], NOW) == (session, issued[-1])
    for token in issued[:-101]:
        with pytest.raises(InvalidRefreshToken) as caught:
            session.refresh(token, NOW)
        assert not isinstance(caught.value, RefreshTokenReused)
        with pytest.raises(RefreshTokenReused):
            session.refresh(token, NOW + timedelta(seconds=11))


@given(place=st.integers(0, 87), letter=st.sampled_from("AZaz09-_"))
def test_a_damaged_token_does_not_belong_to_the_session(place: int, letter: str) -> None:
    text = TOKEN.text[:place] + letter + TOKEN.text[place + 1 :]
    assume(text != TOKEN.text)
    assert not begin().owns(RefreshToken.parse(text))


def test_a_session_ends_a_week_after_its_last_use_and_thirty_days_after_its_first() -> None:
    session, token, now = begin(), TOKEN, NOW
    while session.expires_at < NOW + timedelta(days=30):
        now = session.expires_at - timedelta(milliseconds=1)
        assert not session.has_expired(now)
        assert session.has_expired(session.expires_at)
        session, token = session.refresh(token, now)
    with pytest.raises(InvalidRefreshToken):
        session.refresh(token, NOW + timedelta(days=30))


def test_an_earlier_token_of_a_session_that_has_expired_is_not_taken_for_stolen() -> None:
    session, _ = begin().refresh(TOKEN, NOW)
    with pytest.raises(InvalidRefreshToken) as caught:
        session.refresh(TOKEN, session.expires_at)
    assert not isinstance(caught.value, RefreshTokenReused)


def test_a_clock_that_goes_back_shortens_and_prolongs_nothing() -> None:
    session, token = begin().refresh(TOKEN, NOW)
    earlier = NOW - timedelta(hours=1)
    again, second = session.refresh(token, earlier)
    assert (again.last_used_at, again.expires_at) == (session.last_used_at, session.expires_at)
    for retried in (TOKEN, token):
        assert again.refresh(retried, earlier) == (again, second)
        assert again.refresh(retried, NOW + timedelta(seconds=10)) == (again, second)
        with pytest.raises(RefreshTokenReused):
            again.refresh(retried, NOW + timedelta(seconds=10, milliseconds=1))


def test_the_last_refreshes_alone_are_remembered() -> None:
    session, token = begin(), TOKEN
    for _ in range(100):
        session, token = session.refresh(token, session.last_used_at + timedelta(seconds=2))
    assert len(session.refreshed_at) == 6


@given(text=st.text(max_size=300))
@example(text="curl/8\r\nX-Admin: yes\x00\x1b[31m\x7f\x85\u200e\u2066\ud800\ue000")
def test_a_user_agent_is_kept_without_what_cannot_be_seen(text: str) -> None:
    kept = begin(user_agent=text).user_agent
    assert kept is not None
    assert len(kept) == min(len(text), 200)
    assert all(category(character)[0] != "C" for character in kept)
    assert all(new == old or category(old)[0] == "C" for new, old in zip(kept, text, strict=False))


def test_times_are_cut_to_milliseconds() -> None:
    session = begin(now=NOW.replace(microsecond=123_999))
    assert session.created_at == session.last_used_at == NOW
    following, _ = session.refresh(TOKEN, NOW.replace(microsecond=124_999))
    assert following.last_used_at == following.refreshed_at[0] == NOW.replace(microsecond=124_000)


# Failed sign-ins


def no_failures() -> SignInFailures:
    return SignInFailures.first(KEY, NOW).cleared(NOW)


@given(
    most=st.integers(1, 8),
    pauses=st.lists(st.timedeltas(timedelta(0), timedelta(seconds=40)) | st.just(timedelta(minutes=1)), max_size=30),
)
def test_as_many_failures_as_are_allowed_block_until_one_is_a_minute_old(most: int, pauses: list[timedelta]) -> None:
    failures, now, moments = no_failures(), NOW, list[datetime]()
    for pause in pauses:
        now = truncate_to_milliseconds(now + pause)
        within = [moment for moment in moments if now - moment < timedelta(minutes=1)]
        end = failures.blocked_until(most, now)
        assert (end is not None) is (len(within) >= most)
        if end is not None:
            assert end == within[-most] + timedelta(minutes=1)
            assert failures.blocked_until(most, end - timedelta(milliseconds=1)) == end
            assert failures.blocked_until(most, end) is None
        failures = failures.add_failure(now, most)
        moments.append(now)
        assert failures.moments == tuple(moments[-len(failures.moments) :])
        assert len(failures.moments) <= most
        assert failures.version == len(moments) + 2


@given(most=st.integers(1, 8), pauses=st.lists(st.timedeltas(timedelta(0), timedelta(seconds=40)), max_size=20))
def test_expired_failures_block_no_one(most: int, pauses: list[timedelta]) -> None:
    failures, now = no_failures(), NOW
    for pause in pauses:
        now += pause
        failures = failures.add_failure(now, most)
    assert failures.blocked_until(1, failures.expires_at) is None


def test_attempts_that_were_refused_do_not_prolong_a_block() -> None:
    failures = no_failures()
    for second in range(5):
        failures = failures.add_failure(NOW + timedelta(seconds=second), 5)
    ends = {failures.blocked_until(5, NOW + timedelta(seconds=second)) for second in range(5, 60)}
    assert ends == {NOW + timedelta(minutes=1)}


def test_cleared_failures_block_no_one() -> None:
    failures = no_failures().add_failure(NOW, 1)
    assert failures.blocked_until(1, NOW) is not None
    cleared = failures.cleared(NOW)
    assert (cleared.key, cleared.moments, cleared.version) == (KEY, (), failures.version + 1)
    assert cleared.blocked_until(1, NOW) is None


def test_the_first_failure_is_the_first_state() -> None:
    first = SignInFailures.first(KEY, NOW)
    assert (first.version, len(first.moments), first.expires_at) == (1, 1, first.moments[0] + timedelta(minutes=1))


def test_a_clock_that_is_put_back_prolongs_no_block_for_long() -> None:
    failures = no_failures()
    for _ in range(5):
        failures = failures.add_failure(NOW, 5)
    assert failures.blocked_until(5, NOW - timedelta(hours=1)) is None
    assert failures.blocked_until(5, NOW - timedelta(seconds=30)) is not None


def test_a_lower_limit_counts_for_failures_of_before() -> None:
    failures = no_failures()
    for second in range(4):
        failures = failures.add_failure(NOW + timedelta(seconds=second), 5)
    now = NOW + timedelta(seconds=4)
    assert failures.blocked_until(5, now) is None
    assert failures.blocked_until(2, now) == NOW + timedelta(seconds=62)
