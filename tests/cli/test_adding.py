import json

import pytest

from tests.cli.commands import CommandResult, userport

ROOT = ("--email", "root@example.org", "--name", "Root")


def add(storage: str, *options: str, password: bytes = b"correct horse battery\n") -> CommandResult:
    return userport("users", "add", "--storage", storage, *options, pipe=password)


def exported(storage: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in userport("users", "export", "--storage", storage).text.splitlines()]


def test_an_admin_is_added_with_the_first_line_as_password(prepared: str) -> None:
    added = add(prepared, "--admin", *ROOT, "--username", "root", password=b"correct horse battery\r\nmore\n")
    assert (added.exit_code, added.errors) == (0, "")
    (user,) = exported(prepared)
    assert added.text == f"Added admin {user['id']}.\n"
    expected = {"email": "root@example.org", "name": "Root", "username": "root", "role": "admin", "active": True}
    assert user.items() >= expected.items()


def test_without_more_a_member_is_added(sqlite: str) -> None:
    assert add(sqlite, *ROOT, password=b"correct horse battery").exit_code == 0  # without a final line break
    (user,) = exported(sqlite)
    assert user["role"] == "member"


@pytest.mark.parametrize(
    ("options", "password", "message"),
    [
        (ROOT, b"", "no password"),
        (ROOT, b"\n", "no password"),
        (ROOT, b"short\n", "password must be at least 8"),
        (ROOT, b"iloveyou\n", "common"),
        (ROOT, b"root@example.org\n", "own email"),
        (ROOT, b"\xff\xfe\n", "UTF-8"),
        (ROOT, b"x" * 100_000, "at most 256"),
        (("--email", "x", "--name", ""), b"correct horse battery\n", "email must"),
        (("--email", "x", "--name", ""), b"correct horse battery\n", "name must"),
    ],
)
def test_an_error_is_reported_in_one_line(sqlite: str, options: tuple[str, ...], password: bytes, message: str) -> None:
    refused = add(sqlite, *options, password=password)
    assert (refused.exit_code, refused.errors.count("\n")) == (1, 1)
    assert message in refused.errors
    if len(password) > 1:
        assert password.decode(errors="replace").strip() not in refused.errors
    assert exported(sqlite) == []


def test_no_user_is_added_twice(sqlite: str) -> None:
    assert add(sqlite, *ROOT).exit_code == 0
    refused = add(sqlite, "--email", "ROOT@example.org", "--name", "Again")
    assert (refused.exit_code, refused.errors.count("\n")) == (1, 1)
    assert len(exported(sqlite)) == 1


def test_a_password_is_no_argument(sqlite: str) -> None:
    refused = add(sqlite, *ROOT, "--password", "correct horse battery")
    assert (refused.exit_code, refused.errors.count("\n")) == (2, 1)
    assert "correct horse battery" not in refused.errors
