"""Run PgBouncer in front of a PostgreSQL."""

import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Final, Literal, TypeAlias
from urllib.parse import unquote, urlsplit

from tests.servers.choice import find_program
from tests.servers.postgresql import KIND
from tests.servers.process import ServerProcess, Unreachable, hand_over

PoolMode: TypeAlias = Literal["session", "transaction"]

MAX_SERVER_CONNECTIONS: Final[Mapping[PoolMode, int]] = {"session": 50, "transaction": 4}


class PgbouncerProcess(ServerProcess):
    """A PgBouncer with its default settings, for all databases of a server.

    It uses server connections in turn, so that a client does not get its previous one by chance.
    """

    scheme: ClassVar = "postgresql"

    def __init__(self, server_url: str, pool_mode: PoolMode) -> None:
        super().__init__(Path(find_program("pgbouncer", "pgbouncer")).parent)
        self._server_url = server_url
        self._pool_mode = pool_mode

    @property
    def url(self) -> str:
        return self.url_before(self._server_url)

    @property
    def url_without_option(self) -> str:
        return KIND.moved(self._server_url, self.port)

    def url_before(self, url: str) -> str:
        """Return the URL of the same database through this pooler."""
        return KIND.moved(url, self.port) + ("?pooler=transaction" if self._pool_mode == "transaction" else "")

    def initialize(self) -> None:
        host, port = KIND.endpoint(self._server_url)
        parts = urlsplit(self._server_url)
        users, configuration = self.directory / "users", self.directory / "pgbouncer.ini"
        login = (unquote(part or "").replace('"', '""') for part in (parts.username, parts.password))
        users.write_text('"{}" "{}"\n'.format(*login))
        configuration.write_text(
            "[databases]\n"
            f"* = host={host} port={port}\n"
            "[pgbouncer]\n"
            "listen_addr = 127.0.0.1\n"
            f"listen_port = {self.port}\n"
            "unix_socket_dir =\n"
            "auth_type = scram-sha-256\n"
            f"auth_file = {users}\n"
            f"pool_mode = {self._pool_mode}\n"
            f"default_pool_size = {MAX_SERVER_CONNECTIONS[self._pool_mode]}\n"
            "max_client_conn = 500\n"
            "server_round_robin = 1\n"
            "server_login_retry = 1\n"
        )
        hand_over(users)
        hand_over(configuration)

    def command(self) -> Sequence[str | Path]:
        return [self.programs / "pgbouncer", self.directory / "pgbouncer.ini"]

    def check(self) -> None:
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()
        except OSError as error:
            raise Unreachable(str(error)) from error
