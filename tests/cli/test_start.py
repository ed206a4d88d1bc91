"""What the program loads before it serves, and what it only disables while it loads."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.commands import environment

pytestmark = pytest.mark.slow


def run_python(program: str, directory: Path) -> str:
    variables = environment(USERPORT_STORAGE=f"sqlite:///{directory}/users.db")
    return subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", program], cwd=directory, env=variables, stdout=subprocess.PIPE, text=True, check=True
    ).stdout


def test_a_server_on_sqlite_loads_neither_an_orm_nor_progress_bars_nor_migrations(tmp_path: Path) -> None:
    program = (
        "import sys, entrypoints.cli.main, entrypoints.cli.worker\n"
        "entrypoints.cli.worker.create_app().state.container.storage()\n"
        "print(*sys.modules.keys() & {'sqlalchemy', 'sqlalchemy.orm', 'rich.progress', 'alembic'})"
    )

    assert run_python(program, tmp_path).split() == ["sqlalchemy"]


@pytest.mark.parametrize(
    "command", ["entrypoints.cli.worker.create_app()", "entrypoints.cli.main.run()"], ids=["a worker", "a command"]
)
def test_garbage_is_looked_for_once_all_is_loaded(command: str, tmp_path: Path) -> None:
    program = (
        "import atexit, gc, sys\n"
        "atexit.register(lambda: print('looks for garbage:', gc.isenabled()))\n"
        "gc.disable()\n"
        "import entrypoints.cli.main, entrypoints.cli.worker\n"
        "sys.argv = ['userport', 'storage', 'prepare']\n"
        f"{command}\n"
    )

    assert "looks for garbage: True" in run_python(program, tmp_path)
