"""The apps in the comparison: how to fill and start each."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Final

from benchmarks.bench.app import RIVALS_PYTHON, ROOT, App
from benchmarks.bench.pocketbase import PocketBase
from benchmarks.bench.sample_users import SampleUser, sample_users
from domain.user import Role, User
from domain.values import Bio, Email, Name, UserId, Username
from entrypoints.http.paging import make_cursor
from entrypoints.storage_by_url import open_storage

_IN_A_COMMIT: Final = 1_000
_AS_USERPORT_RUNS_IT: Final = (
    *("--loop", "uvloop", "--http", "httptools", "--ws", "none", "--backlog", "2048"),
    *("--no-access-log", "--no-server-header", "--no-proxy-headers", "--log-level", "warning"),
)


class Userport(App):
    def __init__(self, name: str = "userport", signing_key: Path | None = None) -> None:
        super().__init__(name)
        self._settings = {} if signing_key is None else {"USERPORT_SIGNING_KEY": str(signing_key)}

    def fill(self, url: str, users: int) -> None:
        asyncio.run(_fill(url, users))

    def command(self, url: str, port: int) -> Sequence[str]:
        return [sys.executable, "-m", "entrypoints.cli", "serve", "--port", str(port)]

    def environment(self, url: str) -> Mapping[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("USERPORT_")}
        return {**inherited, "USERPORT_STORAGE": url, **self._settings}

    def path_of_page(self, after: str, skipped: int) -> str:
        return f"/users?limit=50&cursor={make_cursor('users asc', after)}"


class Checkout(Userport):
    """Userport at another commit, in a clone with its own environment, for a comparison before and after a change."""

    def __init__(self, root: Path) -> None:
        super().__init__("before")
        self.root = root.resolve()
        self._python = str(self.root / ".venv" / "bin" / "python")

    def fill(self, url: str, users: int) -> None:
        program = f"from benchmarks.bench.apps import USERPORT; USERPORT.fill({url!r}, {users})"
        subprocess.run([self._python, "-c", program], cwd=self.root, check=True)  # noqa: S603 - our own program

    def command(self, url: str, port: int) -> Sequence[str]:
        return [self._python, "-m", "entrypoints.cli", "serve", "--port", str(port)]


class OrmUserport(Userport):
    """Userport with the storage of an example, in the example's environment, which `make bench-orms` creates."""

    def __init__(self, name: str, scheme: Callable[[str], str], stores: Sequence[str]) -> None:
        """`scheme` returns the scheme of the storage's URL for the scheme of the database."""
        super().__init__(name)
        self.stores = stores
        self._scheme = scheme
        self._python = str(ROOT / "examples" / name / ".venv" / "bin" / "python")

    def fill(self, url: str, users: int) -> None:
        program = f"from benchmarks.bench.apps import USERPORT; USERPORT.fill({self._url(url)!r}, {users})"
        subprocess.run([self._python, "-c", program], cwd=ROOT, check=True)  # noqa: S603 - our own program

    def command(self, url: str, port: int) -> Sequence[str]:
        return [self._python, "-m", "entrypoints.cli", "serve", "--port", str(port)]

    def environment(self, url: str) -> Mapping[str, str]:
        return super().environment(self._url(url))

    def _url(self, url: str) -> str:
        scheme, separator, rest = url.partition("://")
        return self._scheme(scheme) + separator + rest


class Rival(App):
    def __init__(self, name: str, module: str, stores: Sequence[str] = ("sqlite", "postgresql")) -> None:
        super().__init__(name, stores)
        self._module = module

    def fill(self, url: str, users: int) -> None:
        command = [str(RIVALS_PYTHON), "-m", "benchmarks.rivals.fill", "--app", self._module, "--users", str(users)]
        subprocess.run([*command, "--storage", url], cwd=ROOT, check=True)  # noqa: S603 - our own program

    def command(self, url: str, port: int) -> Sequence[str]:
        app = f"benchmarks.rivals.{self._module}:app"
        return [str(RIVALS_PYTHON), "-m", "uvicorn", app, "--port", str(port), *_AS_USERPORT_RUNS_IT]

    def environment(self, url: str) -> Mapping[str, str]:
        return {**os.environ, "RIVAL_STORAGE": url}

    def path_of_page(self, after: str, skipped: int) -> str:
        return f"/users?limit=50&offset={skipped}"


class Constant(Rival):
    """Responds with constant data."""

    keeps_users: ClassVar = False

    def fill(self, url: str, users: int) -> None:
        return


USERPORT: Final = Userport()
APPS: Final[Sequence[App]] = (
    USERPORT,
    Rival("tutorial", "tutorial"),
    Rival("litestar", "litestar_alchemy"),
    Rival("asyncpg", "by_hand", ["postgresql"]),
    PocketBase(),
    Constant("constant", "constant"),
)

ORMS: Final[Sequence[App]] = (
    OrmUserport("userport-sqlalchemy-orm", "orm+{}".format, ["sqlite", "postgresql"]),
    OrmUserport("userport-tortoise", "tortoise+{}".format, ["sqlite", "postgresql"]),
    OrmUserport("userport-piccolo", "piccolo+{}".format, ["postgresql"]),
    OrmUserport("userport-pony", lambda _: "pony", ["sqlite"]),
)
"""Each has the name of an example."""


async def _fill(url: str, users: int) -> None:
    storage = open_storage(url)
    await storage.prepare()
    unit = storage.unit_of_work()
    for number, made in enumerate(sample_users(users), start=1):
        unit.users.add(_user(made))
        if number % _IN_A_COMMIT == 0:
            await unit.commit()
    await unit.commit()
    await storage.close()


def _user(made: SampleUser) -> User:
    return User(
        id=UserId(made.id),
        email=Email(made.email, made.email),
        name=Name(made.name),
        username=Username(made.username, made.username),
        bio=Bio(made.bio),
        role=Role(made.role),
        active=made.active,
        email_verified=False,
        version=1,
        created_at=made.made,
        updated_at=made.made,
    )
