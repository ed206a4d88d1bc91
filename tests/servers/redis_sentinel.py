"""A Redis with two replicas, watched by three Sentinels, on the loopback interface."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import quote

from redis import Redis
from redis.exceptions import RedisError

from tests.servers.process import ServerProcess, Unreachable, add_links, hand_over, wait_until
from tests.servers.redis import RedisProcess, client

MASTER_NAME: Final = "our-users"
_REPLICAS: Final = 2
_SENTINELS: Final = 3


class SentinelledRedis(RedisProcess):
    """A master or a replica; all have the same password."""

    def __init__(self, programs: Path) -> None:
        super().__init__(programs)
        self.replicated: SentinelledRedis | None = None

    def settings(self) -> Sequence[str]:
        return (
            "appendonly yes",
            "appendfsync always",
            "repl-diskless-sync-delay 0",
            "repl-ping-replica-period 1",
            "masteruser userport",
            f"masterauth {self.password}",
            "replica-announce-ip 127.0.0.1",
            f"replica-announce-port {self.peer_port}",
            *([f"replicaof 127.0.0.1 {self.replicated.peer_port}"] if self.replicated else []),
        )

    def ask(self, *command: str | bytes | int) -> Any:
        with client(self.url) as redis:
            return redis.execute_command(*command)


class Sentinel(ServerProcess):
    scheme = "redis"

    def __init__(self, programs: Path, master: SentinelledRedis) -> None:
        super().__init__(programs)
        self._master = master

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def initialize(self) -> None:
        config = self.directory / "sentinel.conf"
        lines = (
            "bind 127.0.0.1",
            f"port {self.port}",
            f"dir {self.directory}",
            f"sentinel monitor {MASTER_NAME} 127.0.0.1 {self._master.peer_port} 2",
            f"sentinel auth-user {MASTER_NAME} userport",
            f"sentinel auth-pass {MASTER_NAME} {self._master.password}",
            f"sentinel down-after-milliseconds {MASTER_NAME} 1000",
            f"sentinel failover-timeout {MASTER_NAME} 5000",
        )
        config.write_text("\n".join(lines) + "\n")
        hand_over(config)

    def command(self) -> Sequence[str | Path]:
        return [self.programs / "redis-server", self.directory / "sentinel.conf", "--sentinel"]

    def check(self) -> None:
        self.ask("PING")

    def ask(self, *command: str) -> Any:
        with Redis(host="127.0.0.1", port=self.port) as redis:
            try:
                return redis.execute_command(*command)
            except RedisError as error:
                raise Unreachable(str(error)) from error

    def sees_all(self) -> bool:
        return (
            len(self.ask("SENTINEL", "REPLICAS", MASTER_NAME)) == _REPLICAS
            and len(self.ask("SENTINEL", "SENTINELS", MASTER_NAME)) == _SENTINELS - 1
        )


class RedisWithSentinels:
    """Servers that start when they are entered, and are complete then."""

    def __init__(self, programs: Path, *, has_links: bool = False) -> None:
        """With `has_links`, Sentinels, servers and clients reach each server through its `link`."""
        self.servers = [SentinelledRedis(programs) for _ in range(1 + _REPLICAS)]
        for replica in self.servers[1:]:
            replica.replicated, replica.password = self.servers[0], self.servers[0].password
        self.sentinels = [Sentinel(programs, self.servers[0]) for _ in range(_SENTINELS)]
        self._has_links = has_links
        self._ends = ExitStack()

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://userport:{quote(self.servers[0].password, safe='')}@{hosts}/{MASTER_NAME}/0"

    def __enter__(self) -> Self:
        with ExitStack() as ends:
            if self._has_links:
                add_links(self.servers, ends)
            for process in (*self.servers, *self.sentinels):
                ends.enter_context(process)
            wait_until(self.is_complete)
            self._ends = ends.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()

    def master(self) -> SentinelledRedis:
        """Return the server that the Sentinels name."""
        _, port = next(each for each in self.sentinels if each.is_running).ask(
            "SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER_NAME
        )
        return next(server for server in self.servers if server.peer_port == int(port))

    def is_complete(self) -> bool:
        """Return whether all replicas are connected to their master, and all Sentinels know each other and them."""
        master = self.master()
        replicas = (server for server in self.servers if server is not master)
        return all(b"connected" in replica.ask("ROLE") for replica in replicas) and all(
            sentinel.sees_all() for sentinel in self.sentinels
        )

    def wait_for_replicas(self) -> None:
        """Wait until the replicas are in sync with their master."""
        master = self.master()
        wait_until(
            lambda: len({server.ask("INFO", "replication")["master_repl_offset"] for server in self.servers}) == 1
        )
        assert master is self.master()
