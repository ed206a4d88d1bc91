from pathlib import Path

import orjson
import pytest

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
def test_wrong_usage_is_told_in_one_line(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    ended = userport(*arguments, cwd=tmp_path)
    assert ended.exit_code == 2
    assert ended.errors.startswith("userport: ")
    assert len(ended.errors.splitlines()) == 1
    assert "secret" not in ended.errors


def test_a_wrong_variable_is_named(tmp_path: Path) -> None:
    ended = userport("serve", cwd=tmp_path, USERPORT_PORT="http")
    assert (ended.exit_code, len(ended.errors.splitlines())) == (2, 1)
    assert "USERPORT_PORT" in ended.errors


def test_openapi_prints_the_document_without_a_storage(tmp_path: Path) -> None:
    ended = userport("openapi", cwd=tmp_path)
    assert ended.exit_code == 0
    assert "/users" in orjson.loads(ended.output)["paths"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("command", [("storage", "ping"), ("storage", "prepare"), ("users", "export"), ("serve",)])
def test_a_storage_out_of_reach_is_told_in_one_line_without_its_url(
    databases: Databases, kind: Kind, command: tuple[str, ...]
) -> None:
    with databases.unreachable(kind) as url:
        ended = userport(*command, "--storage", url)
    assert ended.exit_code == 1
    assert len(ended.errors.splitlines()) == 1
    what_to_do = "see to its folder" if kind == "sqlite" else "userport storage prepare"
    assert what_to_do in ended.errors
    assert "secret" not in ended.errors


def test_debug_tells_where_a_failure_came_from_but_not_what_it_said(databases: Databases) -> None:
    with databases.unreachable("postgresql") as url:
        ended = userport("--debug", "storage", "ping", "--storage", url)
    assert "StorageUnavailable raised at" in ended.errors
    assert "secret" not in ended.errors
