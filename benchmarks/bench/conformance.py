"""Check before measuring that the apps serve the same users, so that none is fast by doing less."""

from collections.abc import Sequence
from typing import Any

from benchmarks.bench.http_client import request
from benchmarks.bench.sample_users import SampleUser

_PAGE = 50


def check_responses(name: str, port: int, users: Sequence[SampleUser], last_page: str, skipped: int) -> None:
    """Raise `SystemExit` unless the measured calls have the right responses."""
    one = users[len(users) // 2]
    _compare(name, "a user", _of_user(one), _of_response(request(port, "GET", f"/users/{one.id}").json()))
    for path, first in (("/users?limit=50", 0), (last_page, skipped)):
        shown = [user["id"] for user in request(port, "GET", path).json()]
        _compare(name, path, [user.id for user in users[first : first + _PAGE]], shown)
    patched = request(port, "PATCH", f"/users/{one.id}", {"bio": one.bio.upper()})
    _compare(name, "a patch", one.bio.upper(), patched.json()["bio"])
    _compare(name, "the patched user", patched.json(), request(port, "GET", f"/users/{one.id}").json())
    new = {"email": "checked@example.org", "name": "Checked"}
    created = request(port, "POST", "/users", new)
    _compare(name, "the status of a new user", 201, created.status)
    _compare(name, "a new user", created.json(), request(port, "GET", f"/users/{created.json()['id']}").json())
    _compare(name, "the status of a second user with an email", 409, request(port, "POST", "/users", new).status)


def check_statuses(name: str, port: int, path: str, has_all_calls: bool) -> None:
    """Raise `SystemExit` unless an app with its own response format has the right statuses."""
    answers = [request(port, "GET", path), request(port, "PATCH", path, {"bio": "Checked."})]
    expected = [200, 200]
    if has_all_calls:
        answers.append(request(port, "GET", "/users?limit=50"))
        answers.append(request(port, "POST", "/users", {"email": "checked@example.org", "name": "Checked"}))
        expected += [200, 201]
    _compare(name, "the statuses", expected, [answer.status for answer in answers])


def _of_user(user: SampleUser) -> dict[str, Any]:
    return {field: value for field, value in user._asdict().items() if field != "made"}


def _of_response(content: dict[str, Any]) -> dict[str, Any]:
    return {field: value for field, value in content.items() if field not in {"created_at", "updated_at"}}


def _compare(name: str, what: str, expected: object, found: object) -> None:
    if found != expected:
        raise SystemExit(f"{name} answers wrongly for {what}: {found!r} instead of {expected!r}"[:2000])
