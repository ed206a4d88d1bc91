"""The apps that are compared: how each is filled and started."""

import asyncio
import os
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Final

from benchmarks.bench.made_users import MadeUser, made_users
from domain.user import Role, User
from domain.values import Bio, Email, Name, UserId, Username
from entrypoints.http.paging import make_cursor
from entrypoints.storage_by_url import open_storage

_ROOT: Final = Path(__file__).parents[2]

RIVALS_PYTHON: Final = _ROOT / "benchmarks" / ".venv" / "bin" / "python"
"""The rivals' own environment; `make bench` makes it."""

_IN_A_COMMIT: Final = 1_000
_AS_USERPORT_RUNS_IT: Final = (
    *("--loop", "uvloop", "--http", "httptools", "--ws", "none", "--backlog", "2048"),
    *("--no-access-log", "--no-server-header", "--no-proxy-headers", "--log-level", "warning"),
)


class App(ABC):
    keeps_users: ClassVar = True

    def __init__(self, name: str, stores: Sequence[str] = ("sqlite", "postgresql")) -> None:
        self.name = name
        self.stores = stores

    @abstractmethod
    def fill(self, url: str, users: int) -> None:
        """Put the made-up users into an empty place."""

    @abstractmethod
    def command(self, port: int) -> Sequence[str]:
        """Make the command line of one worker process."""

    @abstractmethod
    def environment(self, url: str) -> Mapping[str, str]: ...

    @abstractmethod
    def path_of_page(self, after: str, skipped: int) -> str:
        """Make the path of the page of 50 that begins behind a user, whom `skipped` users come up to."""


class Userport(App):
    def __init__(self, name: str = "userport", signing_key: Path | None = None) -> None:
        super().__init__(name)
        self._settings = {} if signing_key is None else {"USERPORT_SIGNING_KEY": str(signing_key)}

    def fill(self, url: str, users: int) -> None:
        asyncio.run(_fill(url, users))

    def command(self, port: int) -> Sequence[str]:
        return [sys.executable, "-m", "entrypoints.cli", "serve", "--port", str(port)]

    def environment(self, url: str) -> Mapping[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("USERPORT_")}
        return {**inherited, "USERPORT_STORAGE": url, **self._settings}

    def path_of_page(self, after: str, skipped: int) -> str:
        return f"/users?limit=50&cursor={make_cursor('users asc', after)}"


class Rival(App):
    def __init__(self, name: str, module: str, stores: Sequence[str] = ("sqlite", "postgresql")) -> None:
        super().__init__(name, stores)
        self._module = module

    def fill(self, url: str, users: int) -> None:
        command = [str(RIVALS_PYTHON), "-m", "benchmarks.rivals.fill", "--app", self._module, "--users", str(users)]
        subprocess.run([*command, "--storage", url], cwd=_ROOT, check=True)  # noqa: S603 - a program of ours

    def command(self, port: int) -> Sequence[str]:
        app = f"benchmarks.rivals.{self._module}:app"
        return [str(RIVALS_PYTHON), "-m", "uvicorn", app, "--port", str(port), *_AS_USERPORT_RUNS_IT]

    def environment(self, url: str) -> Mapping[str, str]:
        return {**os.environ, "RIVAL_STORAGE": url}

    def path_of_page(self, after: str, skipped: int) -> str:
        return f"/users?limit=50&offset={skipped}"


class Constant(Rival):
    """Answers without any user behind it."""

    keeps_users: ClassVar = False

    def fill(self, url: str, users: int) -> None:
        return


USERPORT: Final = Userport()
APPS: Final[Sequence[App]] = (
    USERPORT,
    Rival("tutorial", "tutorial"),
    Rival("litestar", "litestar_alchemy"),
    Rival("asyncpg", "by_hand", ["postgresql"]),
    Constant("constant", "constant"),
)


async def _fill(url: str, users: int) -> None:
    storage = open_storage(url)
    await storage.prepare()
    unit = storage.unit_of_work()
    for number, made in enumerate(made_users(users), start=1):
        unit.users.add(_user(made))
        if number % _IN_A_COMMIT == 0:
            await unit.commit()
    await unit.commit()
    await storage.close()


def _user(made: MadeUser) -> User:
    return User(
        id=UserId(made.id),
        email=Email(made.email, made.email),
        name=Name(made.name),
        username=Username(made.username, made.username),
        bio=Bio(made.bio),
        role=Role(made.role),
        active=made.active,
        version=1,
        created_at=made.made,
        updated_at=made.made,
    )
