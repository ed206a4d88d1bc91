from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Final

ROOT: Final = Path(__file__).parents[2]

RIVALS_BIN: Final = ROOT / "benchmarks" / ".venv" / "bin"
"""The rivals' own environment, created by `make bench`."""

RIVALS_PYTHON: Final = RIVALS_BIN / "python"


class App(ABC):
    """An app in the comparison: how to fill, start and call it."""

    keeps_users: ClassVar = True
    """Whether it serves users from a storage, as userport does."""

    calls: ClassVar[Collection[str] | None] = None
    """The names of the calls that are measured on it; None for all."""

    ready_path: ClassVar = "/users?limit=1"
    root: Path = ROOT

    def __init__(self, name: str, stores: Sequence[str] = ("sqlite", "postgresql")) -> None:
        self.name = name
        self.stores = stores

    @abstractmethod
    def fill(self, url: str, users: int) -> None:
        """Add the sample users to an empty storage."""

    @abstractmethod
    def command(self, url: str, port: int) -> Sequence[str]:
        """Return the command line of one worker process."""

    @abstractmethod
    def environment(self, url: str) -> Mapping[str, str]: ...

    @abstractmethod
    def path_of_page(self, after: str, skipped: int) -> str:
        """Return the path of the page of 50 users behind `after`, the last of the `skipped` users."""

    def path_of_user(self, user_id: str) -> str:
        return f"/users/{user_id}"
