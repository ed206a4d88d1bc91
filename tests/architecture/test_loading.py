"""Commands and storages load only what they need: most of what userport depends on takes long to load."""

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.cli.commands import environment

STORES: Final = frozenset({"sqlalchemy", "asyncpg", "asyncmy", "pymongo", "redis", "botocore", "aiobotocore"})
"""Libraries that only storages need."""

LIBRARIES: Final = STORES.union(
    ("alembic", "argon2", "bcrypt", "cryptography", "dependency_injector", "fastapi", "httptools", "idna", "jwt"),
    (
        "aiosmtplib",
        "jinja2",
        "orjson",
        "pydantic_settings",
        "rich",
        "starlette",
        "uuid_utils",
        "uvicorn",
        "uvloop",
        "zxcvbn",
    ),
)
"""All that userport depends on, but for Typer, which reads the arguments, and Pydantic, which Typer may load."""

OF_SETTINGS: Final = {"orjson", "pydantic_settings", "uvloop"}
OF_THE_CONTAINER: Final = {"dependency_injector", "fastapi", "starlette"}
"""The library of the container loads FastAPI wherever it is installed."""


def modules_loaded_by(program: str, directory: Path) -> set[str]:
    """Run a program in a process of its own, and return which modules it has loaded at its end."""
    program = f"import atexit, sys\natexit.register(lambda: print('\\nloaded:', *sys.modules))\n{program}"
    printed = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", program], cwd=directory, env=environment(), stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    return set(printed.splitlines()[-1].split())


def libraries_loaded_by(directory: Path, *arguments: str) -> set[str]:
    program = f"sys.argv = {['userport', *arguments]!r}\nfrom entrypoints.cli.start import run\nrun()"
    return modules_loaded_by(program, directory) & LIBRARIES


@pytest.mark.parametrize("arguments", [("--version",), ("--help",), ("users", "import", "--help")], ids=" ".join)
def test_the_version_and_help_load_no_library(arguments: tuple[str, ...], tmp_path: Path) -> None:
    assert libraries_loaded_by(tmp_path, *arguments) == set()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "libraries"),
    [
        (("keys", "new", "--out", "key.pem"), OF_SETTINGS - {"uvloop"} | {"cryptography", "bcrypt", "jwt"}),
        (("storage", "ping", "--storage", "memory://"), OF_SETTINGS),
        (("storage", "prepare", "--storage", "sqlite:///users.db"), OF_SETTINGS | {"sqlalchemy", "alembic"}),
        (("users", "export", "--storage", "memory://"), OF_SETTINGS | OF_THE_CONTAINER),
        (("jobs", "list", "--storage", "memory://"), OF_SETTINGS | OF_THE_CONTAINER),
    ],
    ids=["keys new", "storage ping", "storage prepare", "users export", "jobs list"],
)
def test_a_command_loads_only_what_it_needs(arguments: tuple[str, ...], libraries: set[str], tmp_path: Path) -> None:
    assert libraries_loaded_by(tmp_path, *arguments) == libraries


@pytest.mark.slow
@pytest.mark.parametrize(
    ("url", "libraries"),
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
def test_a_storage_loads_its_own_driver_alone(url: str, libraries: set[str], tmp_path: Path) -> None:
    program = f"from entrypoints.storage_by_url import open_storage\nopen_storage({url!r})"
    assert modules_loaded_by(program, tmp_path) & STORES == libraries
