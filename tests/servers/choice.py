"""Which stores the tests run on, and which of them must not be missing.

`STORAGES=memory,sqlite` leaves the others out; `REQUIRE_STORAGES=postgresql,mariadb` makes a server that cannot be
found a failure, so that nobody takes a skipped suite for one that passed.
"""

import os
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
    """Skip, or fail if the store was required, because there is no server."""
    message = f"There is no {kind} server to test with: {what_to_do}"
    if kind in _names("REQUIRE_STORAGES"):
        pytest.fail(message, pytrace=False)
    pytest.skip(message)
