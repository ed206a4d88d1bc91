"""Third-party tools accept the OpenAPI document: a linter, and generators of typed clients in two languages."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.cli.commands import ROOT, userport

pytestmark = pytest.mark.slow

_NPM: Final = ROOT / "node_modules" / ".bin"
_GENERATOR: Final = ROOT / ".venv" / "generator" / "bin"

_TYPESCRIPT: Final = """
import type { components, paths } from "./schema";

type NewUser = components["schemas"]["NewUser"];
export const minimal: NewUser = { email: "ann@example.com", name: "Ann" };
export const admin: NewUser = { ...minimal, role: "admin", active: true };
export const patch: components["schemas"]["UserPatch"] = {};
export const replacement: components["schemas"]["UserReplacement"] = { ...minimal, bio: null };
export const change: components["schemas"]["PasswordChange"] = { new_password: "a long and quiet password" };

export type Created = paths["/users"]["post"]["responses"][201]["content"]["application/json"];
export const idOf = (user: Created): string => user.id;

// @ts-expect-error an email is required
export const nameless: NewUser = { name: "Ann" };
"""

_PYTHON: Final = """
from client import AuthenticatedClient
from client.api.users import create_user
from client.models import NewUser, Problem, User

minimal = NewUser(email="ann@example.com", name="Ann")


def register(client: AuthenticatedClient) -> str:
    created = create_user.sync(client=client, body=minimal)
    if isinstance(created, User):
        return str(created.id)
    return created.code if isinstance(created, Problem) else ""


print(minimal.to_dict())
"""


@pytest.fixture
def document(tmp_path: Path) -> Path:
    """The document as clients get it."""
    path = tmp_path / "openapi.json"
    path.write_bytes(userport("openapi").output)
    return path


def run(program: Path, *arguments: object, cwd: Path) -> str:
    """Run a program and return its output."""
    if not program.exists():
        pytest.skip(f"{program.name} is not installed; `make test` installs it, with npm if it is a package of npm")
    with subprocess.Popen(  # noqa: S603
        [program, *map(str, arguments)],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        printed, _ = process.communicate(timeout=300)
    assert process.returncode == 0, printed
    return printed


def test_redocly_finds_no_error(document: Path) -> None:
    node = shutil.which("node")
    if node and [int(part) for part in run(Path(node), "--version", cwd=ROOT).strip("v\n").split(".")] < [20, 19]:
        pytest.skip("redocly needs Node.js 20.19")
    assert "Your API description is valid" in run(_NPM / "redocly", "lint", document.name, cwd=document.parent)


def test_a_typescript_client_accepts_a_user_of_email_and_name_alone(document: Path) -> None:
    directory = document.parent
    run(_NPM / "openapi-typescript", document, "--output", "schema.d.ts", cwd=directory)
    (directory / "client.ts").write_text(_TYPESCRIPT)
    strictly = ("--strict", "--exactOptionalPropertyTypes", "--noUncheckedIndexedAccess", "--noEmit")
    run(_NPM / "tsc", *strictly, "client.ts", cwd=directory)


def test_a_python_client_accepts_a_user_of_email_and_name_alone(document: Path) -> None:
    directory = document.parent
    (directory / "config.yaml").write_text("post_hooks: []")  # the generator's run of ruff would break type annotations
    options = ("--path", document, "--meta", "none", "--output-path", "client", "--config", "config.yaml")
    run(_GENERATOR / "openapi-python-client", "generate", *options, "--fail-on-warning", cwd=directory)
    (directory / "register.py").write_text(_PYTHON)
    python = Path(sys.executable)
    run(python, "-m", "mypy", "--strict", "register.py", cwd=directory)
    assert run(python, "register.py", cwd=directory) == "{'email': 'ann@example.com', 'name': 'Ann'}\n"
