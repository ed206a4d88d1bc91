"""Plant bugs in copies of the adapters, one by one, and report which of them the storage contract notices.

BUGS_AT_ONCE=2 python -m tests.mutation.plant_bugs [store ...]

A store is one of userport's own, or an example such as userport-pony, which `make install-examples` has installed.
"""

import os
import pkgutil
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Final, Literal, TypeAlias

from rich.console import Console
from rich.table import Table

from tests import mutation
from tests.capabilities.results import Bugs, record
from tests.mutation.bug import Bug
from tests.mutation.examples import SUITES
from tests.mutation.syntax import replace_node

Verdict: TypeAlias = Literal["caught", "SURVIVED", "BROKEN"]

ROOT: Final = Path(__file__).parents[2]
COPIED: Final = ("domain", "application", "adapters", "entrypoints", "tests/servers", "tests/storage")
TIMES_AS_LONG: Final = 5
"""A suite that takes this many times as long as without a bug hangs, which counts as noticed."""

AT_ONCE: Final = int(os.environ.get("BUGS_AT_ONCE", "2"))


log: Final = Console(stderr=True)


@dataclass(frozen=True, slots=True)
class Command:
    arguments: Sequence[str]
    environment: Mapping[str, str]


class Broken(Exception):
    """The suite shows nothing about the bug: it did not run, or fails without it."""


def main(chosen: Sequence[str]) -> int:
    bugs = [bug for bug in all_bugs() if not chosen or bug.store in chosen]
    for bug in bugs:
        planted(bug, (ROOT / bug.file).read_text())  # check all of them before the first slow run
    with ThreadPoolExecutor(AT_ONCE) as threads:
        stores = sorted({bug.store for bug in bugs})
        seconds = dict(zip(stores, threads.map(seconds_without_bug, stores), strict=True))
        timeouts = {store: TIMES_AS_LONG * seconds[store] for store in stores}
        verdicts = list(threads.map(lambda bug: verdict(bug, timeouts[bug.store]), bugs))
    report(bugs, verdicts)
    for store in {bug.store for bug in bugs}:
        of_store = [result for bug, result in zip(bugs, verdicts, strict=True) if bug.store == store]
        record(store, bugs=Bugs(planted=len(of_store), caught=of_store.count("caught")))
    return int(any(result != "caught" and not bug.allowed for bug, result in zip(bugs, verdicts, strict=True)))


def all_bugs() -> Sequence[Bug]:
    """Return the `BUGS` of every module in this package."""
    modules = (import_module(f"{mutation.__name__}.{found.name}") for found in pkgutil.iter_modules(mutation.__path__))
    return [bug for module in modules for bug in getattr(module, "BUGS", ())]


def planted(bug: Bug, text: str) -> str:
    if not bug.file.endswith(".py"):
        if bug.old in text:
            return text.replace(bug.old, bug.new, 1)
        raise Broken(f"{bug.file} has changed, so the bug cannot be planted any more: {bug.what}")
    try:
        return replace_node(text, bug.where, bug.node, bug.new)
    except LookupError as error:
        raise Broken(f"{bug.file} has changed, so a bug cannot be planted any more: {bug.what} ({error})") from None


def seconds_without_bug(store: str) -> float:
    begun = time.monotonic()
    if case := case_that_fails(store, None, None):
        raise Broken(f"the suite of {store} fails before there is any bug: {case}")
    return time.monotonic() - begun


def verdict(bug: Bug, timeout: float) -> Verdict:
    begun = time.monotonic()
    found: Verdict
    try:
        case = case_that_fails(bug.store, bug, timeout)
        found = "caught" if case else "SURVIVED"
    except Broken as error:
        found, case = "BROKEN", str(error)
    log.print(f"{bug.store}: {bug.what}: {found} after {time.monotonic() - begun:.0f} s {case}", markup=False)
    return found


def case_that_fails(store: str, bug: Bug | None, timeout: float | None) -> str:
    """Run the suite of one store on a copy with the bug in it; return the first case that fails, empty if none does."""
    with tempfile.TemporaryDirectory(prefix="userport-bug-") as directory:
        copy = Path(directory)
        command = example_suite(store, copy) if store in SUITES else own_suite(store, copy)
        if bug is not None:
            target = copy / bug.file
            target.write_text(planted(bug, target.read_text()))
        try:
            done = subprocess.run(  # noqa: S603
                [*command.arguments, "--exitfirst", "-q", "-p", "no:cacheprovider"],
                cwd=copy,
                env={**os.environ, **command.environment},
                capture_output=True,
                text=True,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return "by taking too long"
    # A case must have failed: a copy that cannot be imported shows nothing.
    if done.returncode not in {0, 1} or "E       NameError" in done.stdout:
        raise Broken(done.stdout[-2000:])
    failures = (line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR")))
    return next(failures, "by a case without a name") if done.returncode else ""


def own_suite(store: str, copy: Path) -> Command:
    """Copy userport, and return a command that runs the suite of one of its stores on the copy."""
    for part in COPIED:
        copy_folder(part, copy)
    for file in ("pyproject.toml", "tests/conftest.py"):
        shutil.copy(ROOT / file, copy / file)
    return Command(
        [sys.executable, "-m", "pytest", f"tests/storage/test_{store}.py"],
        {"REQUIRE_STORAGES": store, "STORAGES": store, "PYTHONPATH": str(copy)},
    )


def example_suite(example: str, copy: Path) -> Command:
    """Copy an example's package, and return a command that runs its contract cases with this checkout of userport."""
    folder = ROOT / "examples" / example
    copy_folder(f"examples/{example}/{example.replace('-', '_')}", copy)
    return Command(
        [
            str(folder / ".venv/bin/pytest"),
            "--override-ini=addopts=--import-mode=importlib",
            f"{folder}/{SUITES[example]}",
        ],
        {
            "REQUIRE_STORAGES": "sqlite,postgresql",
            "PYTHONPATH": os.pathsep.join([str(copy / "examples" / example), str(ROOT)]),
        },
    )


def copy_folder(folder: str, copy: Path) -> None:
    shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))


def report(bugs: Sequence[Bug], verdicts: Sequence[Verdict]) -> None:
    table = Table("store", "planted bug", "verdict")
    for bug, result in zip(bugs, verdicts, strict=True):
        table.add_row(bug.store, bug.what, f"{result}, allowed" if bug.allowed and result != "caught" else result)
    console = Console()
    console.print(table)
    console.print(f"{verdicts.count('caught')} of {len(bugs)} bugs were caught.")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
