"""Which stores the tests run on, and which of them are required.

`STORAGES=memory,sqlite` omits the others. `REQUIRE_STORAGES=postgresql,mariadb` makes a missing server a failure, so
that a skipped suite is not mistaken for one that passed. `REQUIRE_PROGRAMS=nginx,curl` does the same for programs that
other tests run.
"""

import os
import shutil
from typing import Final, Literal, NoReturn, TypeAlias

import pytest

Kind: TypeAlias = Literal["sqlite", "postgresql", "mariadb", "mongodb", "redis", "dynamodb"]

ALL: Final[tuple[Kind, ...]] = ("sqlite", "postgresql", "mariadb", "mongodb", "redis", "dynamodb")


def _names(variable: str) -> set[str]:
    return set(os.environ.get(variable, "").replace(",", " ").split())


def is_chosen(kind: str) -> bool:
    chosen = _names("STORAGES")
    return not chosen or kind in chosen


KINDS: Final[tuple[Kind, ...]] = tuple(kind for kind in ALL if is_chosen(kind))
SERVED: Final[tuple[Kind, ...]] = tuple(kind for kind in KINDS if kind != "sqlite")


def skip_unless_chosen(kind: str) -> None:
    if not is_chosen(kind):
        pytest.skip(f"{kind} is not among STORAGES")


def give_up(kind: str, what_to_do: str) -> NoReturn:
    """Skip because there is no server; fail if the store is required."""
    message = f"There is no {kind} server to test with: {what_to_do}"
    if kind in _names("REQUIRE_STORAGES"):
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


def find_program(name: str, package: str) -> str:
    """Return the path of a program, also from root's PATH; otherwise skip, or fail if it is required."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if found is None:
        give_up_program(name, f"install Debian's package {package}")
    return found


def give_up_program(name: str, what_to_do: str) -> NoReturn:
    """Skip, or fail if the program was required, because it or what it needs is missing."""
    message = f"There is no {name} to test with: {what_to_do}"
    if name in _names("REQUIRE_PROGRAMS"):
        pytest.fail(message, pytrace=False)
    pytest.skip(message)
