"""Third-party tools accept the OpenAPI document: a linter, and generators of typed clients in two languages."""

import json
import os
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


_TYPESCRIPT_OPTIONS: Final = {
    "strict": True,
    "exactOptionalPropertyTypes": True,
    "noUncheckedIndexedAccess": True,
    "noEmit": True,
    # Those of TypeScript's own; what is generated is no declaration file, and so is checked.
    "skipLibCheck": True,
    "lib": ["es2022"],
    "types": [],
}

# What httpx is made of, half of all that there would be to read.
_MYPY_OPTIONS: Final = """
[mypy]
strict = true
[mypy-anyio.*,click.*,httpcore.*,rich.*]
follow_imports = skip
"""


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The document as clients get it."""
    path = tmp_path_factory.mktemp("openapi") / "openapi.json"
    path.write_bytes(userport("openapi").output)
    return path


def run(program: Path, *arguments: object, cwd: Path) -> str:
    """Run a program and return its output."""
    if not program.exists():
        pytest.skip(f"{program.name} is not installed; `make test` installs it, with npm if it is a package of npm")
    done = subprocess.run(  # noqa: S603
        [program, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_redocly_finds_neither_errors_nor_warnings(document: Path) -> None:
    node = shutil.which("node")
    if node and [int(part) for part in run(Path(node), "--version", cwd=ROOT).strip("v\n").split(".")] < [20, 19]:
        pytest.skip("redocly needs Node.js 20.19")
    report = json.loads(run(_NPM / "redocly", "lint", "--format=json", document, cwd=ROOT))
    assert report["totals"] == {"errors": 0, "warnings": 0, "ignored": 0}, report["problems"]


def test_a_typescript_client_accepts_a_user_of_email_and_name_alone(document: Path, tmp_path: Path) -> None:
    run(_NPM / "openapi-typescript", document, "--output", "schema.ts", cwd=tmp_path)
    (tmp_path / "client.ts").write_text(_TYPESCRIPT)
    (tmp_path / "tsconfig.json").write_text(json.dumps({"compilerOptions": _TYPESCRIPT_OPTIONS}))
    run(_NPM / "tsc", "--project", tmp_path, cwd=tmp_path)


def test_a_python_client_accepts_a_user_of_email_and_name_alone(document: Path, tmp_path: Path) -> None:
    # The generator's run of ruff would break type annotations.
    (tmp_path / "config.yaml").write_text("post_hooks: []")
    options = ("--path", document, "--meta", "none", "--output-path", "client", "--config", "config.yaml")
    run(_GENERATOR / "openapi-python-client", "generate", *options, "--fail-on-warning", cwd=tmp_path)
    (tmp_path / "register.py").write_text(_PYTHON)
    (tmp_path / "mypy.ini").write_text(_MYPY_OPTIONS)
    python = Path(sys.executable)
    run(python, "-m", "mypy", "--cache-dir", os.devnull, "register.py", cwd=tmp_path)
    assert run(python, "register.py", cwd=tmp_path) == "{'email': 'ann@example.com', 'name': 'Ann'}\n"
