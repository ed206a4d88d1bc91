import json

import pytest

from adapters.security.signing_keys import SigningKeys
from tests.cli.commands import CommandResult, userport

SIGNING_KEY = SigningKeys.new().to_pem()
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


def test_an_invited_user_gets_a_mail_with_a_link_and_has_no_password(sqlite: str) -> None:
    command = ("users", "add", "--storage", sqlite, "--invite", *ROOT)
    added = userport(*command, USERPORT_SIGNING_KEY=SIGNING_KEY)
    assert (added.exit_code, added.errors) == (0, "")
    assert added.text.endswith(", who gets an invitation.\n")
    (listed,) = userport("jobs", "list", "--storage", sqlite).text.splitlines()
    assert "mail" in listed
    (user,) = [
        json.loads(line)
        for line in userport("users", "export", "--storage", sqlite, "--with-password-hashes").text.splitlines()
    ]
    assert (user["password_hash"], user["email_verified"]) == (None, False)


def test_an_invitation_needs_a_signing_key(sqlite: str) -> None:
    refused = add(sqlite, "--invite", *ROOT)
    assert (refused.exit_code, refused.errors.count("\n")) == (2, 1)
    assert "USERPORT_SIGNING_KEY" in refused.errors
    assert exported(sqlite) == []


def test_without_an_invitation_no_key_is_read(sqlite: str) -> None:
    command = ("users", "add", "--storage", sqlite, *ROOT)
    added = userport(*command, pipe=b"correct horse battery\n", USERPORT_SIGNING_KEY="/no/such/file")
    assert (added.exit_code, added.errors) == (0, "")


def test_no_user_is_added_twice(sqlite: str) -> None:
    assert add(sqlite, *ROOT).exit_code == 0
    refused = add(sqlite, "--email", "ROOT@example.org", "--name", "Again")
    assert (refused.exit_code, refused.errors.count("\n")) == (1, 1)
    assert len(exported(sqlite)) == 1


def test_a_password_is_no_argument(sqlite: str) -> None:
    refused = add(sqlite, *ROOT, "--password", "correct horse battery")
    assert (refused.exit_code, refused.errors.count("\n")) == (2, 1)
    assert "correct horse battery" not in refused.errors
