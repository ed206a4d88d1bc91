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
from typing import Final, Literal, NamedTuple, TypeAlias

from domain.session import Session

Kind: TypeAlias = Literal["create", "patch", "remove", "read", "sign_in", "refresh"]

_EXPECTED: Final = {200, 201, 204, 404, 409, 412, 503}
_REFUSED: Final = 400  # how a sign-in and a refresh are refused

_USER: Final = attrgetter("user_id")
_SESSION: Final = attrgetter("session_id")
_EMAIL: Final = attrgetter("email")

_GRACE_SECONDS: Final = Session.REUSE_GRACE_PERIOD.total_seconds()
_ROUNDING_SECONDS: Final = 0.01  # the service keeps times in milliseconds, by another clock
_MAX_SECONDS: Final = 15  # during an outage, a response comes after about ten


class Content(NamedTuple):
    """What a version of a user says."""

    email: str
    name: str


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

    name: str | None = None
    """The name that it writes."""

    if_match: int | None = None
    version: int | None = None
    """The version in the response."""

    content: Content | None = None
    """The user in the response."""

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
        return self.kind != "read" and (self.is_acknowledged or self.is_unknown)

    @property
    def is_unknown(self) -> bool:
        return self.status == 0 or (self.status == 503 and self.code == "storage_unavailable")

    def is_before(self, other: "Operation") -> bool:
        return self.ended <= other.started

    def may_have_made(self, content: Content | None) -> bool:
        """Return whether a user has what it writes; what it does not write may be anything."""
        return content is None or (self.email in {None, content.email} and self.name in {None, content.name})


@dataclass(frozen=True, slots=True)
class Stored:
    """A user after everything."""

    content: Content
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
    found = [*_unexpected_responses(history), *_shared_emails(history, state), *_unfounded_conflicts(history)]
    if not durable_reads:
        history = [each for each in history if not _may_show_undone(each, history)]
    for user_id, operations in _by(history, _USER).items():
        stored = state.get(user_id)
        seen = [each.version or 0 for each in operations if each.kind == "read" and each.is_acknowledged]
        if stored and seen and stored.version < max(seen):
            found.append(f"user {user_id}: version {max(seen)} was read, but it is at version {stored.version}")
        for check in _USER_CHECKS:
            found += [f"user {user_id}: {text}" for text in check(operations)]
        found += [f"user {user_id}: {text}" for text in _wrong_contents(operations, stored)]
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


def _may_show_undone(read: Operation, history: History) -> bool:
    """Return whether a read may show a write that a failover undid before it was acknowledged."""
    writes = [  # a later one may have made the version again
        each
        for each in history
        if each.kind in {"create", "patch"} and each.user_id == read.user_id and each.started < read.ended
    ]
    return (
        read.kind == "read"
        and read.is_acknowledged
        and any(
            (each.is_unknown or (each.is_acknowledged and not each.is_before(read)))
            and each.may_have_made(read.content)
            for each in writes
        )
        and not any(
            each.is_acknowledged and (each.version, each.content) == (read.version, read.content) for each in writes
        )
    )


def _unexpected_responses(history: History) -> Iterator[str]:
    for operation in history:
        is_refused = operation.status == _REFUSED and operation.kind in {"sign_in", "refresh"}
        if operation.status and operation.status not in _EXPECTED and not is_refused:
            yield f"{_request(operation)} was answered with {operation.status}"
        if operation.status == 503 and not operation.retry_after:
            yield f"{_request(operation)} was answered with 503 without Retry-After"
        seconds = operation.ended - operation.started
        if not operation.status:
            yield f"{_request(operation)} got no response in {seconds:.1f} s"
        elif seconds > _MAX_SECONDS:
            yield f"{_request(operation)} was answered after {seconds:.1f} s"


def _request(operation: Operation) -> str:
    return f"a {operation.kind} of {operation.user_id or operation.email}"


def _shared_emails(history: History, state: State) -> Iterator[str]:
    for email, number in Counter(user.content.email for user in state.values()).items():
        if number > 1:
            yield f"{number} users have the email {email}"
    by_user = _by(history, _USER)
    for email, operations in _by(history, _EMAIL).items():
        given = [each for each in operations if each.is_acknowledged]
        for first, second in combinations(given, 2):
            if first.user_id != second.user_id and not (
                _may_have_released(by_user, first, second) or _may_have_released(by_user, second, first)
            ):
                yield f"the email {email} was given to two users"


def _may_have_released(by_user: Mapping[str, History], owner: Operation, later: Operation) -> bool:
    """Return whether the user of `owner`, which wrote an email, may have given it up before `later`."""
    return not later.is_before(owner) and any(
        each.is_effective and _releases(each, owner.email) and _may_follow(each, owner) and each.started < later.ended
        for each in by_user.get(owner.user_id or "", ())
    )


def _releases(operation: Operation, email: str | None) -> bool:
    return operation.kind == "remove" or (operation.kind == "patch" and operation.email not in {None, email})


def _may_follow(later: Operation, earlier: Operation) -> bool:
    """Return whether one effective write of a user may have come into effect after another one."""
    if "remove" in {later.kind, earlier.kind}:
        return later.kind == "remove"
    if later.version is not None and earlier.version is not None:
        return later.version > earlier.version
    return not later.is_before(earlier)


def _unfounded_conflicts(history: History) -> Iterator[str]:
    by_user, by_email = _by(history, _USER), _by(history, _EMAIL)
    for refused in history:
        if refused.status == 409 and not any(
            each.is_effective
            and each.started < refused.ended
            and (each.user_id is None or each.user_id != refused.user_id)
            and not _was_released(by_user, each, refused)
            for each in by_email.get(refused.email or "", ())
        ):
            yield f"{refused.kind} was refused for the email {refused.email}, which was free"


def _was_released(by_user: Mapping[str, History], owner: Operation, refused: Operation) -> bool:
    """Return whether the user of `owner`, which wrote an email, certainly did not have it any more."""
    return any(
        each.is_acknowledged
        and _releases(each, owner.email)
        and each.is_before(refused)
        and not _may_follow(owner, each)
        for each in by_user.get(owner.user_id or "", ())
    )


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


def _wrong_contents(operations: History, stored: Stored | None) -> Iterator[str]:
    shown = {(each.version, each.content) for each in operations if each.is_acknowledged and each.content}
    if stored:
        shown.add((stored.version, stored.content))
    for version, number in Counter(version for version, _ in shown).items():
        if number > 1:
            yield f"version {version} has {number} contents"
    for each in operations:
        if each.is_acknowledged and not each.may_have_made(each.content):
            yield f"a {each.kind} made version {each.version} with other content than it wrote"


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
