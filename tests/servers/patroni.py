"""Three PostgreSQL servers under Patroni with etcd, on the loopback interface."""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar, Final, Self
from urllib.parse import quote

from tests.servers.choice import find_program, give_up
from tests.servers.postgresql import KIND
from tests.servers.process import ServerProcess, Unreachable, free_port, hand_over, kill_family, wait_until

_NODES: Final = 3
_ANSWER_SECONDS: Final = 2


class EtcdProcess(ServerProcess):
    scheme: ClassVar = "http"

    def __init__(self) -> None:
        super().__init__(Path(find_program("etcd", "etcd-server")).parent)
        self._peer_port = free_port()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def initialize(self) -> None:
        """Do nothing: etcd makes its directory."""

    def command(self) -> Sequence[str | Path]:
        peers = f"http://127.0.0.1:{self._peer_port}"
        addresses = {
            "listen-client-urls": self.url,
            "advertise-client-urls": self.url,
            "listen-peer-urls": peers,
            "initial-advertise-peer-urls": peers,
            "initial-cluster": f"default={peers}",
            "data-dir": str(self.directory / "data"),
        }
        return [self.programs / "etcd", *(f"--{name}={value}" for name, value in addresses.items())]

    def check(self) -> None:
        _get(f"{self.url}/health")


class PatroniNode(ServerProcess):
    """One Patroni, which runs one PostgreSQL. All have the same password."""

    scheme: ClassVar = "postgresql"

    def __init__(self, programs: Path, etcd: EtcdProcess) -> None:
        super().__init__(programs)
        self._etcd = etcd
        self._patroni = find_program("patroni", "patroni")
        self._api_port = free_port()

    @property
    def url(self) -> str:
        return self.url_of("postgres")

    def initialize(self) -> None:
        login = {"username": "userport", "password": self.password}
        settings = {
            "scope": "userport",
            "name": f"node{self.port}",
            "restapi": {
                "listen": f"127.0.0.1:{self._api_port}",
                "connect_address": f"127.0.0.1:{self._api_port}",
            },
            "etcd3": {"hosts": f"127.0.0.1:{self._etcd.port}"},
            "bootstrap": {
                # Short, so that another server takes over within seconds.
                "dcs": {"ttl": 20, "loop_wait": 1, "retry_timeout": 3, "synchronous_mode": True},
                "initdb": [{"encoding": "UTF8"}, {"locale": "C"}, {"auth": "scram-sha-256"}, "no-sync"],
            },
            "postgresql": {
                "listen": f"127.0.0.1:{self.port}",
                "connect_address": f"127.0.0.1:{self.port}",
                "data_dir": str(self.directory / "data"),
                "bin_dir": str(self.programs),
                "pgpass": str(self.directory / "pgpass"),
                "authentication": {"superuser": login, "replication": login, "rewind": login},
                "parameters": {
                    "unix_socket_directories": str(self.directory),
                    "fsync": "off",
                },
                "use_pg_rewind": True,
                "pg_hba": [
                    "host all all 127.0.0.1/32 scram-sha-256",
                    "host replication all 127.0.0.1/32 scram-sha-256",
                ],
            },
        }
        file = self.directory / "patroni.yml"
        file.write_text(json.dumps(settings))  # JSON is YAML
        hand_over(file)

    def command(self) -> Sequence[str | Path]:
        return [self._patroni, self.directory / "patroni.yml"]

    def kill(self) -> None:
        """Kill Patroni and its PostgreSQL, which is not its child, like a crash of their machine."""
        super().kill()
        postmaster = int((self.directory / "data" / "postmaster.pid").read_text().split()[0])
        kill_family(postmaster)

    def check(self) -> None:
        if self.status().get("state") != "running":
            raise Unreachable("its PostgreSQL does not run yet")

    def status(self) -> Mapping[str, Any]:
        return _get(f"http://127.0.0.1:{self._api_port}/patroni")

    def is_primary(self) -> bool:
        try:
            status = self.status()
        except Unreachable:
            return False
        return status.get("state") == "running" and status.get("role") in {"master", "primary"}


class PatroniCluster:
    """Starts when it is entered, and is complete then."""

    def __init__(self) -> None:
        programs = KIND.find_programs()
        if programs is None:
            give_up("postgresql", KIND.how_to_get_it)
        self.etcd = EtcdProcess()
        self.nodes = [PatroniNode(programs, self.etcd) for _ in range(_NODES)]
        for node in self.nodes:
            node.password = self.nodes[0].password
        self._ends = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as ends:
            ends.enter_context(self.etcd)
            for node in self.nodes:
                ends.enter_context(node)
            self.wait_until_complete()
            self._ends = ends.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()

    def url(self, database: str = "postgres") -> str:
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)
        login = f"userport:{quote(self.nodes[0].password, safe='')}"
        return f"postgresql://{login}@{hosts}/{database}?target_session_attrs=read-write"

    def primary(self) -> PatroniNode:
        wait_until(lambda: any(node.is_primary() for node in self.nodes))
        return next(node for node in self.nodes if node.is_primary())

    def wait_for_another_primary(self, former: PatroniNode) -> None:
        wait_until(lambda: any(node.is_primary() for node in self.nodes if node is not former))

    def wait_until_complete(self) -> None:
        """Wait until each standby follows the primary, and one of them has every commit."""
        wait_until(self._is_complete)

    def _is_complete(self) -> bool:
        followers = [
            follower
            for node in self.nodes
            if node.is_primary()
            for follower in node.status().get("replication", ())
            if follower["state"] == "streaming"
        ]
        return len(followers) == _NODES - 1 and any(each["sync_state"] == "sync" for each in followers)


def _get(url: str) -> Mapping[str, Any]:
    try:
        with urllib.request.urlopen(url, timeout=_ANSWER_SECONDS) as response:  # noqa: S310 - http on loopback
            content: Mapping[str, Any] = json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            try:
                return dict(json.load(error))
            except ValueError:
                raise Unreachable(str(error)) from error
    except (OSError, ValueError) as error:
        raise Unreachable(str(error)) from error
    return content
