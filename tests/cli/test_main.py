from pathlib import Path

import orjson
import pytest

from entrypoints.settings import Settings
from tests.cli.commands import userport
from tests.servers.choice import KINDS, Kind
from tests.servers.databases import Databases


def test_help_names_every_command() -> None:
    for arguments in ((), ("--help",)):
        ended = userport(*arguments)
        assert ended.exit_code == 0
        assert all(command in ended.text for command in ("serve", "openapi", "storage", "users"))


def test_version_is_one_line() -> None:
    ended = userport("--version")
    assert ended.exit_code == 0
    assert ended.text.split()[0] == "userport"
    assert len(ended.text.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("bogus",),
        ("users",),
        ("users", "import"),
        ("users", "import", "x.csv", "--format", "xml"),
        ("serve", "--port", "http"),
        ("serve", "--port", "65536"),
        ("serve", "--workers", "0"),
        ("storage", "ping", "--storage", "somewhere"),
        ("storage", "ping", "--storage", "oracle://secret@host/x"),
    ],
)
def test_wrong_usage_is_reported_in_one_line(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    ended = userport(*arguments, cwd=tmp_path)
    assert ended.exit_code == 2
    assert ended.errors.startswith("userport: ")
    assert len(ended.errors.splitlines()) == 1
    assert "secret" not in ended.errors


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://secret:secret@secret:5432,secret.example/users",
        "postgresql://secret:secret@secret:5432,SECRET:5432/users",
        "postgresql://secret:secret@secret:5432,redis://secret:6379/users",
        "postgresql://secret:secret@2001:db8::1/users",
        "postgresql://secret:secret@secret/users?secret=secret",
        "postgresql+redis://secret:secret@secret/users",
        "mariadb://secret:secret@secret:3306,secret.example:3306/users",
        "mongodb://secret:secret@secret,redis://secret/users",
        "mongodb://secret:secret@2001:db8::1/users",
        "redis://secret:secret@secret:6379,secret.example:6379/0",
        "redis+cluster://secret:secret@secret:6379,2001:db8::1/0",
        "redis+sentinel://secret:secret@secret:26379,secret.example:26379",
        "dynamodb://secret:secret@secret/users",
    ],
)
@pytest.mark.parametrize("command", [("serve",), ("storage", "ping")], ids=" ".join)
def test_a_wrong_storage_url_is_reported_in_one_line_and_not_repeated(
    tmp_path: Path, command: tuple[str, ...], url: str
) -> None:
    ended = userport(*command, "--storage", url, cwd=tmp_path)
    assert (ended.exit_code, len(ended.errors.splitlines())) == (2, 1)
    assert ended.errors.startswith("userport: the storage URL ")
    assert not any(part in ended.errors.lower() for part in ("secret", "2001"))
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_variable_is_named(tmp_path: Path) -> None:
    ended = userport("serve", cwd=tmp_path, USERPORT_PORT="http")
    assert (ended.exit_code, len(ended.errors.splitlines())) == (2, 1)
    assert "USERPORT_PORT" in ended.errors


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("USERPORT_SIGNUP", "did you mean USERPORT_SIGN_UP?"),
        ("USERPORT_SIGNIN_KEY", "did you mean USERPORT_SIGNING_KEY?"),
        ("USERPORT_DATABASE_URL", "no setting has a similar name"),
        ("userport_sign_kye", "did you mean USERPORT_SIGNING_KEY?"),
        ("USERPORT_", "no setting has a similar name"),
    ],
)
@pytest.mark.parametrize("command", [("serve",), ("storage", "prepare"), ("users", "export")])
def test_an_unknown_variable_is_refused_with_the_nearest_name(
    tmp_path: Path, command: tuple[str, ...], name: str, message: str
) -> None:
    ended = userport(*command, cwd=tmp_path, pipe=b"", **{name: "secret"})
    assert (ended.exit_code, len(ended.errors.splitlines())) == (2, 1)
    assert ended.errors.startswith(f"userport: {name} is unknown")
    assert message in ended.errors
    assert "secret" not in ended.errors
    assert list(tmp_path.iterdir()) == []


def test_every_setting_may_be_empty_but_the_signing_key(tmp_path: Path) -> None:
    empty = {f"USERPORT_{field.upper()}": "" for field in Settings.model_fields if field != "signing_key"}
    assert userport("storage", "prepare", cwd=tmp_path, pipe=b"", **empty, USERPORT_COPY_TO="").exit_code == 0


@pytest.mark.parametrize("key", ["", " ", "\n"])
@pytest.mark.parametrize("variables", [{}, {"USERPORT_AUTH": "token"}, {"USERPORT_AUTH": "open"}])
def test_an_empty_signing_key_is_not_taken_for_none(tmp_path: Path, key: str, variables: dict[str, str]) -> None:
    ended = userport("serve", cwd=tmp_path, pipe=b"", USERPORT_SIGNING_KEY=key, **variables)
    assert (ended.exit_code, len(ended.errors.splitlines())) == (2, 1)
    assert "USERPORT_SIGNING_KEY is empty" in ended.errors
    assert list(tmp_path.iterdir()) == []


def test_openapi_prints_the_document_without_a_storage(tmp_path: Path) -> None:
    ended = userport("openapi", cwd=tmp_path)
    assert ended.exit_code == 0
    assert "/users" in orjson.loads(ended.output)["paths"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("command", [("storage", "ping"), ("storage", "prepare"), ("users", "export"), ("serve",)])
def test_an_unreachable_storage_is_reported_in_one_line_without_its_url(
    databases: Databases, kind: Kind, command: tuple[str, ...]
) -> None:
    with databases.unreachable(kind) as url:
        ended = userport(*command, "--storage", url)
    assert ended.exit_code == 1
    assert len(ended.errors.splitlines()) == 1
    what_to_do = "check its folder" if kind == "sqlite" else "userport storage prepare"
    assert what_to_do in ended.errors
    assert "secret" not in ended.errors


def test_debug_shows_where_a_failure_came_from_but_not_what_it_said(databases: Databases) -> None:
    with databases.unreachable("postgresql") as url:
        ended = userport("--debug", "storage", "ping", "--storage", url)
    assert "StorageUnavailable raised at" in ended.errors
    assert "secret" not in ended.errors
