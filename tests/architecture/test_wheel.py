"""The wheel is complete."""

import zipfile
from pathlib import Path
from typing import Final

import pytest
from hatchling.builders.wheel import WheelBuilder

ROOT: Final = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The file names in a wheel built from this tree."""
    directory = tmp_path_factory.mktemp("wheel")
    wheel = next(iter(WheelBuilder(str(ROOT)).build(directory=str(directory), versions=["standard"])))
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.mark.parametrize("package", ["domain", "application", "adapters", "entrypoints"])
def test_a_wheel_has_every_file_of_a_package(names: set[str], package: str) -> None:
    files = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
    }
    assert files <= names


def test_a_wheel_can_migrate_a_database(names: set[str]) -> None:
    migrations = {name for name in names if name.startswith("adapters/sql/migrations/")}
    assert {"adapters/sql/migrations/env.py", "adapters/sql/migrations/script.py.mako"} <= migrations
    assert any(name.startswith("adapters/sql/migrations/versions/") for name in migrations)


def test_a_wheel_has_the_program_and_no_tests(names: set[str]) -> None:
    assert any(name.endswith(".dist-info/entry_points.txt") for name in names)
    tops = {name.partition("/")[0] for name in names if ".dist-info" not in name}
    assert tops == {"domain", "application", "adapters", "entrypoints"}
