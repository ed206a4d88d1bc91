"""Find what a history of requests and responses has that no single, durable store could have answered.

An operation is effective if it was acknowledged or its outcome is unknown; others must have changed nothing. Times are
those of one clock, so an operation that ended before another one began came first.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from operator import attrgetter
from typing import Final, Literal, TypeAlias

from domain.session import Session

Kind: TypeAlias = Literal["create", "patch", "remove", "read", "sign_in", "refresh"]

_EXPECTED: Final = {200, 201, 204, 404, 409, 412, 503}
_REFUSED: Final = 400  # how a sign-in and a refresh are refused

_USER: Final = attrgetter("user_id")
_SESSION: Final = attrgetter("session_id")

_GRACE_SECONDS: Final = Session.REUSE_GRACE_PERIOD.total_seconds()
_ROUNDING_SECONDS: Final = 0.01  # the service keeps times in milliseconds, by another clock


@dataclass(frozen=True, slots=True)
class Operation:
    kind: Kind
    started: float
    ended: float
    status: int
    """0 if no response came."""

    user_id: str | None = None
    """None for a creation that was not acknowledged."""

    email: str | None = None
    """The email that it writes."""

    if_match: int | None = None
    version: int | None = None
    """The version in the response."""

    code: str | None = None
    """The `code` of a problem."""

    retry_after: bool = True
    """Whether a 503 has `Retry-After`."""

    session_id: str | None = None
    """The session that a sign-in begins or a refresh continues."""

    token: str | None = None
    """The refresh token that a refresh presents."""

    address: str = ""
    """The service process that was called."""

    @property
    def is_acknowledged(self) -> bool:
        return 200 <= self.status < 300

    @property
    def is_effective(self) -> bool:
        is_unknown = self.status == 0 or (self.status == 503 and self.code == "storage_unavailable")
        return self.kind != "read" and (self.is_acknowledged or is_unknown)

    def is_before(self, other: "Operation") -> bool:
        return self.ended <= other.started


@dataclass(frozen=True, slots=True)
class Stored:
    """A user after everything."""

    email: str
    version: int


History: TypeAlias = Sequence[Operation]
State: TypeAlias = Mapping[str, Stored]


def anomalies(history: History, state: State, *, durable_reads: bool = True) -> Sequence[str]:
    """Return a line for each anomaly; `state` has all users at the end."""
    return [*losses(history, state), *wrong_answers(history, state, durable_reads=durable_reads)]


def losses(history: History, state: State) -> Sequence[str]:
    """Return a line for each acknowledged write that is not in force at the end."""
    found = [
        f"user {user_id}: {text}"
        for user_id, operations in _by(history, _USER).items()
        for text in _lost_writes(operations, state.get(user_id))
    ]
    return [*found, *_lost_sessions(history)]


def wrong_answers(history: History, state: State, *, durable_reads: bool = True) -> Sequence[str]:
    """Return a line for each response that no single store could have given, and for emails that users share.

    Without `durable_reads` a read may show what a failover undoes, unless that was acknowledged to its writer.
    """
    if not durable_reads:
        history = [each for each in history if each.kind != "read" or _shows_acknowledged(each, history)]
    found = [*_unexpected_responses(history), *_shared_emails(history, state), *_unfounded_conflicts(history)]
    for user_id, operations in _by(history, _USER).items():
        stored = state.get(user_id)
        seen = [each.version or 0 for each in operations if each.kind == "read" and each.is_acknowledged]
        if stored and seen and stored.version < max(seen):
            found.append(f"user {user_id}: version {max(seen)} was read, but it is at version {stored.version}")
        for check in _USER_CHECKS:
            found += [f"user {user_id}: {text}" for text in check(operations)]
    for session_id, operations in _by(history, _SESSION).items():
        for check in _SESSION_CHECKS:
            found += [f"session {session_id}: {text}" for text in check(operations)]
    return found


def with_operations(anomaly: str, history: History) -> str:
    """Return the line of an anomaly, followed by all operations on the users, sessions and emails that it names."""
    named = {*re.split(r"[\s:,]+", anomaly)}
    named |= {each.user_id for each in history if named & {each.user_id, each.session_id, each.email}} - {None}
    first = min((each.started for each in history), default=0)
    return "\n".join(
        [
            anomaly,
            *(
                f"    {_relative(each, first)}"
                for each in history
                if named & {each.user_id, each.session_id, each.email}
            ),
        ]
    )


def _relative(operation: Operation, first: float) -> Operation:
    """Return an operation in seconds since the first one, with the end of its token alone."""
    started, ended = round(operation.started - first, 3), round(operation.ended - first, 3)
    return replace(operation, started=started, ended=ended, token=operation.token and operation.token[-6:])


def _by(history: History, key: Callable[[Operation], str | None]) -> Mapping[str, History]:
    """Return the operations that have a key, grouped by it."""
    found: defaultdict[str, list[Operation]] = defaultdict(list)
    for operation in history:
        if (name := key(operation)) is not None:
            found[name].append(operation)
    return found


def _shows_acknowledged(read: Operation, history: History) -> bool:
    return not read.is_acknowledged or any(
        each.kind in {"create", "patch"}
        and each.is_acknowledged
        and each.started < read.ended  # a later write may have made the version again
        and (each.user_id, each.version) == (read.user_id, read.version)
        for each in history
    )


def _unexpected_responses(history: History) -> Iterator[str]:
    for operation in history:
        is_refused = operation.status == _REFUSED and operation.kind in {"sign_in", "refresh"}
        if operation.status and operation.status not in _EXPECTED and not is_refused:
            yield f"{_request(operation)} was answered with {operation.status}"
        if operation.status == 503 and not operation.retry_after:
            yield f"{_request(operation)} was answered with 503 without Retry-After"


def _request(operation: Operation) -> str:
    return f"a {operation.kind} of {operation.user_id or operation.email}"


def _shared_emails(history: History, state: State) -> Iterator[str]:
    for email, number in Counter(user.email for user in state.values()).items():
        if number > 1:
            yield f"{number} users have the email {email}"
    created = [each for each in history if each.kind == "create" and each.is_acknowledged]
    for first, second in combinations(sorted(created, key=lambda each: each.ended), 2):
        if first.email == second.email and not _may_have_released(history, first, second):
            yield f"the email {first.email} was given to two users"


def _may_have_released(history: History, owner: Operation, later: Operation) -> bool:
    """Return whether the user whom `owner` created may have given up the email before `later` ended."""
    return any(
        each.user_id == owner.user_id
        and each.started < later.ended
        and each.is_effective
        and (each.kind == "remove" or (each.kind == "patch" and each.email not in {None, owner.email}))
        for each in history
    )


def _unfounded_conflicts(history: History) -> Iterator[str]:
    for refused in history:
        if refused.status == 409 and not any(
            each is not refused and each.is_effective and each.email == refused.email and each.started < refused.ended
            for each in history
        ):
            yield f"{refused.kind} was refused for the email {refused.email}, which was free"


def _lost_writes(operations: History, stored: Stored | None) -> Iterator[str]:
    removals = [each for each in operations if each.kind == "remove" and each.is_effective]
    versions = [
        each.version
        for each in operations
        if each.kind in {"create", "patch"} and each.is_acknowledged and each.version is not None
    ]
    if stored is None:
        if versions and not removals:
            yield "is lost"
    elif any(each.is_acknowledged for each in removals):
        yield "is there although the removal was acknowledged"
    elif versions and stored.version < max(versions):
        yield f"is at version {stored.version}, but version {max(versions)} was acknowledged"


def _branches(operations: History) -> Iterator[str]:
    writes = [each for each in operations if each.kind in {"create", "patch"} and each.is_acknowledged]
    for version, number in Counter(each.version for each in writes).items():
        if number > 1:
            yield f"{number} writes made version {version}"
    for write in writes:
        if write.if_match is not None and write.version is not None and write.version != write.if_match + 1:
            yield f"a patch of version {write.if_match} made version {write.version}"


def _backward_versions(operations: History) -> Iterator[str]:
    for earlier in operations:
        if not earlier.is_acknowledged:
            continue
        for later in operations:
            if not (earlier.is_before(later) and later.is_acknowledged and later.kind != "remove"):
                continue
            if earlier.kind == "remove":
                yield f"a {later.kind} succeeded after the removal"
            elif later.version is not None and earlier.version is not None:
                least = earlier.version + (later.kind == "patch")
                if later.version < least:
                    after = f"after a {earlier.kind} of version {earlier.version}"
                    yield f"a {later.kind} answered version {later.version} {after}"


def _unfounded_refusals(operations: History) -> Iterator[str]:
    for refused in operations:
        rivals = [
            each
            for each in operations
            if each is not refused
            and each.is_effective
            and each.kind in {"patch", "remove"}
            and each.started < refused.ended
        ]
        if refused.status == 404 and not any(each.kind == "remove" for each in rivals):
            yield f"a {refused.kind} was answered with 404 without a removal"
        if refused.status == 412 and not any(_is_newer(each, refused.if_match) for each in rivals):
            yield f"a patch of version {refused.if_match} was refused without a newer one"
        if (
            refused.kind == "sign_in"
            and refused.status == _REFUSED
            and not any(each.kind == "remove" for each in rivals)
        ):
            yield "a sign_in was refused without a removal"


def _is_newer(write: Operation, version: int | None) -> bool:
    return write.kind == "remove" or write.version is None or version is None or write.version > version


def _lost_sessions(history: History) -> Iterator[str]:
    """Find refreshes that were refused although nothing had ended the session."""
    by_user = _by(history, _USER)
    for session_id, operations in _by(history, _SESSION).items():
        refused = [each for each in operations if each.kind == "refresh" and each.status == _REFUSED]
        if not refused:
            continue
        first = min(refused, key=lambda each: each.ended)
        user = by_user.get(first.user_id or "", ())
        is_removed = any(each.kind == "remove" and each.is_effective and each.started < first.ended for each in user)
        if not is_removed and not any(
            each.started < first.ended and _may_end_session(each, operations) for each in operations
        ):
            yield f"session {session_id}: is lost"


def _may_end_session(refresh: Operation, session: History) -> bool:
    """Return whether a refresh may have presented a token that had been used before the grace period."""
    return (
        refresh.kind == "refresh"
        and not refresh.is_acknowledged
        and (refresh.status == _REFUSED or refresh.is_effective)
        and any(
            each is not refresh
            and each.is_effective
            and each.token == refresh.token
            and each.started + _GRACE_SECONDS <= refresh.ended + _ROUNDING_SECONDS
            for each in session
        )
    )


def _reused_tokens(operations: History) -> Iterator[str]:
    refreshes = [each for each in operations if each.kind == "refresh" and each.is_acknowledged]
    if any(
        first.token == again.token and first.ended + _GRACE_SECONDS + _ROUNDING_SECONDS < again.started
        for first in refreshes
        for again in refreshes
    ):
        yield "a refresh token was accepted twice"


def _continued_sessions(operations: History) -> Iterator[str]:
    refreshes = [each for each in operations if each.kind == "refresh"]
    ends = [each for each in refreshes if each.status == _REFUSED and _may_end_session(each, operations)]
    if any(end.is_before(each) and each.is_acknowledged for end in ends for each in refreshes):
        yield "a refresh succeeded after a used token had ended the session"


_USER_CHECKS: Final[Sequence[Callable[[History], Iterator[str]]]] = (
    _branches,
    _backward_versions,
    _unfounded_refusals,
)
_SESSION_CHECKS: Final[Sequence[Callable[[History], Iterator[str]]]] = (_reused_tokens, _continued_sessions)
