"""Rules for imports that import-linter does not check."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]


@pytest.mark.parametrize("package", ["domain", "application"])
def test_the_centre_imports_the_standard_library_and_itself_alone(package: str) -> None:
    allowed = set(sys.stdlib_module_names) | {"domain", package}
    imported = {name for path in (ROOT / package).rglob("*.py") for name in _imported(path)}
    assert "dataclasses" in imported
    assert imported <= allowed


def test_one_module_touches_the_garbage_collector_and_the_switching_of_threads() -> None:
    packages = ("domain", "application", "adapters", "entrypoints")
    modules = [path for package in packages for path in (ROOT / package).rglob("*.py")]
    touching = [
        path.relative_to(ROOT).as_posix()
        for path in modules
        if "gc" in _imported(path) or "setswitchinterval" in path.read_text(encoding="utf-8")
    ]
    assert touching == ["entrypoints/cli/interpreter.py"]


def _imported(path: Path) -> Iterator[str]:
    """Return the top-level packages that a file imports anywhere."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} has a relative import"
            yield (node.module or "").partition(".")[0]
