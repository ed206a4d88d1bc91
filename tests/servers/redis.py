"""Find and run Redis."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Final
from uuid import uuid4

from redis import Redis, RedisCluster
from redis.exceptions import RedisError
from redis.sentinel import Sentinel

from adapters.redis.config import RedisConfig
from adapters.redis.scripts import KEYS, VERSION
from tests.servers.kind import ServerKind
from tests.servers.process import ServerProcess, Unreachable, hand_over


class RedisProcess(ServerProcess):
    """A Redis without durability, which makes it fast."""

    scheme: ClassVar = "redis"
    program: ClassVar = "redis-server"

    @property
    def url(self) -> str:
        return self.url_of("0")

    def settings(self) -> Sequence[str]:
        return ("appendonly no",)

    def initialize(self) -> None:
        config = self.directory / "redis.conf"
        lines = (
            "bind 127.0.0.1",
            f"port {self.port}",
            f"dir {self.directory}",
            'save ""',
            # Redis 7 to 8.4 replay their append-only file with the rights of this user, who cannot sign in.
            "user default off ~* &* +@all",
            f"user userport on >{self.password} ~* &* +@all",
            *self.settings(),
        )
        config.write_text("\n".join(lines) + "\n")
        hand_over(config)

    def command(self) -> Sequence[str | Path]:
        return [self.programs / self.program, self.directory / "redis.conf"]

    def check(self) -> None:
        with client(self.url) as redis:
            try:
                redis.ping()
            except RedisError as error:
                raise Unreachable(str(error)) from error


class DurableRedisProcess(RedisProcess):
    """A Redis that loses no acknowledged write."""

    def settings(self) -> Sequence[str]:
        return ("appendonly yes", "appendfsync always")


class RedisKind(ServerKind):
    """A database is the set of keys with the name of a service as prefix, on a server or a cluster."""

    variable = "TEST_REDIS_URL"
    default_port = 6379
    how_to_get_it = "set TEST_REDIS_URL, or install Redis (redis-server on PATH)"
    fast = RedisProcess
    durable = DurableRedisProcess

    def find_programs(self) -> Path | None:
        server = shutil.which("redis-server")
        return Path(server).parent if server else None

    def create(self, server_url: str) -> str:
        return f"{server_url}{'&' if '?' in server_url else '?'}service=userport_test_{uuid4().hex}"

    def drop(self, url: str) -> None:
        with client(url) as redis:
            redis.unlink(*map(RedisConfig.parse(url).key, KEYS))

    def empty(self, url: str) -> None:
        self.drop(url)
        with client(url) as redis:
            redis.hset(RedisConfig.parse(url).key("state"), "version", VERSION)

    def version(self, url: str) -> str:
        with client(url) as redis:
            server = redis.info("server")
            return (
                f"Valkey {server['valkey_version']}"
                if "valkey_version" in server
                else f"Redis {server['redis_version']}"
            )

    def url_on(self, port: int) -> str:
        return f"redis://userport:secret@127.0.0.1:{port}/0"


def client(url: str) -> Any:
    """Open the driver's client for a storage URL, for commands that the adapter does not send."""
    config = RedisConfig.parse(url)
    login: dict[str, Any] = {"username": config.username, "password": config.password}
    if config.master_name is not None:
        hosts = [(address.host, address.port) for address in config.addresses]
        sentinels = Sentinel(hosts)  # type: ignore[no-untyped-call] # as the driver has it
        return sentinels.master_for(config.master_name, db=config.database, **login)  # type: ignore[no-untyped-call]
    login |= {"ssl": config.uses_tls, "ssl_ca_certs": config.ssl_ca}
    if config.is_cluster:
        return RedisCluster(host=config.addresses[0].host, port=config.addresses[0].port, **login)
    return Redis(host=config.addresses[0].host, port=config.addresses[0].port, db=config.database, **login)


KIND: Final = RedisKind()
