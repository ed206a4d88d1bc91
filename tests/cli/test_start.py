"""What the program loads before it serves, and what it leaves off only while it does."""

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.cli.commands import environment

pytestmark = pytest.mark.slow

STORES: Final = frozenset({"sqlalchemy", "asyncpg", "asyncmy", "pymongo", "redis", "botocore", "aiobotocore"})
"""What storages are made of."""

LIBRARIES: Final = STORES.union(
    ("alembic", "argon2", "bcrypt", "cryptography", "dependency_injector", "fastapi", "httptools", "idna", "jwt"),
    ("orjson", "pydantic_settings", "rich", "starlette", "uuid_utils", "uvicorn", "uvloop", "zxcvbn"),
)
"""All that userport depends on, but for Typer, which reads the arguments, and Pydantic, which Typer may load."""


def run_python(program: str, directory: Path) -> str:
    variables = environment(USERPORT_STORAGE=f"sqlite:///{directory}/users.db")
    return subprocess.run(  # noqa: S603 - a program of ours
        [sys.executable, "-c", program], cwd=directory, env=variables, stdout=subprocess.PIPE, text=True, check=True
    ).stdout


def libraries_loaded_by(directory: Path, *arguments: str) -> frozenset[str]:
    """Run a command in a process of its own, and return which libraries it has loaded at its end."""
    program = (
        "import atexit, sys\n"
        f"sys.argv = {['userport', *arguments]!r}\n"
        "atexit.register(lambda: print('\\nloaded', *sys.modules))\n"
        "from entrypoints.cli.start import run\n"
        "run()"
    )
    *_, loaded = run_python(program, directory).splitlines()
    return LIBRARIES & set(loaded.split())


@pytest.mark.parametrize("arguments", [("--version",), ("--help",), ("users", "import", "--help")], ids=" ".join)
def test_the_version_and_help_load_no_library(arguments: tuple[str, ...], tmp_path: Path) -> None:
    assert libraries_loaded_by(tmp_path, *arguments) == set()


@pytest.mark.parametrize(
    ("arguments", "loaded"),
    [
        (("keys", "new", "--out", "key.pem"), {"cryptography"}),
        (("storage", "ping", "--storage", "memory://"), set()),
        (("storage", "prepare", "--storage", "sqlite:///users.db"), {"sqlalchemy", "alembic"}),
        (("users", "export", "--storage", "memory://"), {"orjson"}),
    ],
    ids=["keys new", "storage ping", "storage prepare", "users export"],
)
def test_a_command_loads_only_what_it_needs(arguments: tuple[str, ...], loaded: set[str], tmp_path: Path) -> None:
    of_settings_and_storages = {"dependency_injector", "pydantic_settings", "uvloop"}
    assert libraries_loaded_by(tmp_path, *arguments) - of_settings_and_storages == loaded


@pytest.mark.parametrize(
    ("url", "loaded"),
    [
        ("memory://", set()),
        ("sqlite:///users.db", {"sqlalchemy"}),
        ("postgresql://u:p@localhost/users", {"sqlalchemy", "asyncpg"}),
        ("mariadb://u:p@localhost/users", {"sqlalchemy", "asyncmy"}),
        ("mongodb://localhost/users", {"pymongo"}),
        ("redis://localhost/0", {"redis"}),
        ("dynamodb://eu-central-1/users", {"botocore", "aiobotocore"}),
    ],
)
def test_a_container_loads_only_the_storage_that_is_set(url: str, loaded: set[str], tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from entrypoints.container import Container\n"
        "from entrypoints.settings import Settings\n"
        f"Container(settings=Settings(storage={url!r})).storage()\n"
        "print(*sys.modules)"
    )

    assert STORES & set(run_python(program, tmp_path).split()) == loaded


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
