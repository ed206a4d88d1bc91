"""Find and run MariaDB."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Final

from tests.servers.process import hand_over
from tests.servers.sql import SqlKind, SqlProcess


class MariadbProcess(SqlProcess):
    """A MariaDB without durability, which makes it fast."""

    scheme: ClassVar = "mariadb"
    options: Sequence[str] = ("--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0")

    @property
    def url(self) -> str:
        return self.url_of("")

    def initialize(self) -> None:
        welcome = self.directory / "welcome.sql"
        welcome.write_text(
            f"CREATE USER IF NOT EXISTS userport@'%' IDENTIFIED BY '{self.password}';\n"
            "GRANT ALL ON *.* TO userport@'%' WITH GRANT OPTION;\n"
        )
        hand_over(welcome)
        settings = ("--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db")
        install = shutil.which("mariadb-install-db") or "mariadb-install-db"
        # A MariaDB that starts deletes the temporary tables of others in its tmpdir.
        self.run(install, *settings, f"--datadir={self.directory / 'data'}", f"--tmpdir={self.directory}")

    def command(self) -> Sequence[str | Path]:
        return [
            self.programs / "mariadbd",
            "--no-defaults",
            f"--datadir={self.directory / 'data'}",
            f"--tmpdir={self.directory}",
            f"--socket={self.directory / 'socket'}",
            f"--pid-file={self.directory / 'pid'}",
            f"--init-file={self.directory / 'welcome.sql'}",
            "--bind-address=127.0.0.1",
            f"--port={self.port}",
            "--skip-name-resolve",
            *self.options,
        ]


class DurableMariadbProcess(MariadbProcess):
    """A MariaDB with its default settings."""

    options = ()


class MariadbKind(SqlKind):
    scheme = "mariadb"
    product = "MariaDB"
    variable = "TEST_MARIADB_URL"
    default_port = 3306
    how_to_get_it = (
        "set TEST_MARIADB_URL to one whose user may create databases, or install MariaDB (mariadb-install-db on PATH, "
        "mariadbd on PATH or in /usr/sbin)"
    )
    fast = MariadbProcess
    durable = DurableMariadbProcess

    def find_programs(self) -> Path | None:
        """Return the directory of `mariadbd`, if the program that prepares its data directory exists, too."""
        server = shutil.which("mariadbd") or shutil.which("mariadbd", path="/usr/sbin:/usr/local/sbin")
        return Path(server).resolve().parent if server and shutil.which("mariadb-install-db") else None


KIND: Final = MariadbKind()
