"""The guide to record types works in a copy of the project."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from tests.servers.choice import is_chosen
from tests.servers.databases import Databases

pytestmark = pytest.mark.slow

ROOT: Final = Path(__file__).parents[2]
GUIDE: Final = (ROOT / "docs" / "how-to" / "add-a-record-type.md").read_text()
COPIED: Final = ("adapters", "application", "domain", "entrypoints", "tests", "alembic.ini", "pyproject.toml")
BLOCK: Final = re.compile(r"`([\w/.]+)`:|^```(python|diff)\n(.*?)^```", re.MULTILINE | re.DOTALL)

USE: Final = """
import asyncio

from entrypoints.container import Container
from entrypoints.http.app import create_app
from entrypoints.settings import load_settings
from httpx import ASGITransport, AsyncClient

async def use():
    container = Container(settings=load_settings())
    await container.storage().prepare()
    transport = ASGITransport(create_app(container))
    async with AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        users = [(await client.post("/users", json={"email": f"{n}@example.org", "name": n})).json() for n in "ab"]
        for user in users:
            path = f"/users/{user['id']}/notes"
            written = await client.post(path, json={"text": "Buy tea.", "days": 3})
            assert written.status_code == 201, written.text
            assert (await client.get(path)).json() == [written.json()]
        assert (await client.post(path, json={"text": " ", "days": 3})).status_code == 422
        assert (await client.delete(f"/users/{user['id']}")).status_code == 204
        assert (await client.get(path)).json() == []
        assert "/users/{id}/notes" in (await client.get("/openapi.json")).json()["paths"]
    await container.storage().close()

asyncio.run(use())
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project to which the guide has added notes."""
    copy = tmp_path_factory.mktemp("project")
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, copy / name)
    for path, kind, text in steps():
        if kind == "python":
            assert not (copy / path).exists()
            (copy / path).parent.mkdir(exist_ok=True)
            (copy / path).write_text(text)
        else:
            change(copy / path, text)
    scratch = f"sqlite:///{copy / 'scratch.db'}"
    run(copy, "-m", "alembic", "upgrade", "head", USERPORT_STORAGE=scratch)
    run(copy, "-m", "alembic", "revision", "--autogenerate", "-m", "notes", USERPORT_STORAGE=scratch)
    return copy


def steps() -> Iterator[tuple[str, str, str]]:
    """Return each file of the guide with its instruction and content."""
    path = ""
    for named, kind, text in BLOCK.findall(GUIDE):
        if named:
            path = named
        else:
            yield path, kind, text


def change(file: Path, diff: str) -> None:
    lines = diff.splitlines(keepends=True)
    before = "".join(line[1:] for line in lines if line[0] != "+")
    after = "".join(line[1:] for line in lines if line[0] != "-")
    content = file.read_text()
    assert content.count(before) == 1, f"{file.name} has no single place for:\n{diff}"
    file.write_text(content.replace(before, after))


def run(project: Path, *arguments: str, **variables: str) -> str:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("USERPORT_", "PYTEST_"))}
    done = subprocess.run(  # noqa: S603 - our own programs
        [sys.executable, *arguments],
        cwd=project,
        env={**inherited, "PYTHONPATH": str(project), **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_file_of_the_guide_is_in_its_table() -> None:
    table = GUIDE[GUIDE.index("| step | file |") : GUIDE.index("## 1.")]
    new_files = [path for path, kind, _ in steps() if kind == "python"]
    assert new_files
    assert all(f"`{path}`" in table for path in new_files)


@pytest.mark.parametrize("kind", ["memory", "sqlite", "postgresql"])
def test_the_contract_holds_for_the_new_type(project: Path, kind: str) -> None:
    if not is_chosen(kind):
        pytest.skip(f"{kind} is not among STORAGES")
    done = run(project, "-m", "pytest", "-q", "-k", "notes", f"tests/storage/test_{kind}.py", STORAGES=kind)
    assert int(re.findall(r"(\d+) passed", done)[0]) > 10


def test_the_table_is_compared_with_the_declaration(project: Path) -> None:
    done = run(project, "-m", "pytest", "-q", "-k", "notes", "tests/storage/test_sql_record_tables.py")
    assert "passed" in done


def test_notes_are_served_copied_and_removed_with_their_owner(project: Path, databases: Databases) -> None:
    with ExitStack() as ends:
        source, target = (ends.enter_context(databases.fresh("sqlite")) for _ in range(2))
        run(project, "-c", USE, USERPORT_STORAGE=source)
        said = run(project, "-m", "entrypoints.cli", "storage", "copy", "--from", source, "--to", target)
        assert "1 users" in said
        assert "1 notes" in said
        exported = run(project, "-m", "entrypoints.cli", "users", "export", "--with-records", "--storage", target)
        assert exported.count('"type":"notes"') == 1
        assert "Buy tea." in exported
