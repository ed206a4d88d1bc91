"""A Galera cluster: MariaDB on three nodes, on the loopback interface."""

import re
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Self

from tests.servers.choice import give_up
from tests.servers.mariadb import KIND, MariadbProcess
from tests.servers.process import Unreachable, as_another_user, free_port, hand_over
from tests.servers.sql import execute, query

_PROVIDER: Final = Path("/usr/lib/galera/libgalera_smm.so")
_NODES: Final = 3


class GaleraNode(MariadbProcess):
    """One node; all nodes of a cluster have the same password, because they have the same data."""

    def __init__(self, programs: Path) -> None:
        super().__init__(programs)
        self.group_port = free_port()
        self.members: Sequence[GaleraNode] = ()
        self._transfer_port, self._snapshot_port = free_port(), free_port()
        self._start_options: Sequence[str] = ()
        self._was_killed = False

    def command(self) -> Sequence[str | Path]:
        members = ",".join(f"127.0.0.1:{node.group_port}" for node in self.members)
        provider_options = {
            "base_host": "127.0.0.1",
            "base_port": str(self.group_port),
            "gmcast.listen_addr": f"tcp://127.0.0.1:{self.group_port}",
            "ist.recv_addr": f"127.0.0.1:{self._transfer_port}",
            "gcache.size": "32M",
        }
        return [
            *super().command(),
            "--binlog-format=ROW",
            "--innodb-autoinc-lock-mode=2",
            "--wsrep-on=ON",
            f"--wsrep-provider={_PROVIDER}",
            f"--wsrep-cluster-address=gcomm://{members}",
            f"--wsrep-node-address=127.0.0.1:{self.group_port}",
            # Its script for state transfers takes port 4444 by default, also when none is needed.
            f"--wsrep-sst-receive-address=127.0.0.1:{self._snapshot_port}",
            f"--wsrep-node-incoming-address=127.0.0.1:{self.port}",
            f"--wsrep-provider-options={';'.join(f'{name}={value}' for name, value in provider_options.items())}",
            *self._start_options,
        ]

    def check(self) -> None:
        if self.status("ready") != "ON" or self.status("local_state_comment") != "Synced":
            raise Unreachable("it has not joined yet")

    def status(self, name: str) -> str:
        ((_, value),) = query(self.url, f"SHOW STATUS LIKE 'wsrep_{name}'")
        return str(value)

    def url_of_same(self, url: str) -> str:
        """Return the URL of the same database on this node."""
        return KIND.moved(url, self.port)

    def begin_cluster(self) -> None:
        self._start_options = ("--wsrep-new-cluster",)
        super().start()

    def start(self) -> None:
        self._start_options = (f"--wsrep-start-position={self._last_position()}",) if self._was_killed else ()
        super().start()
        self._was_killed = False

    def kill(self) -> None:
        super().kill()
        self._was_killed = True

    def cut_off(self) -> None:
        """Cut the node's connections to the others; clients are not affected."""
        self._isolate(isolated=True)

    def reconnect(self) -> None:
        self._isolate(isolated=False)

    def _isolate(self, *, isolated: bool) -> None:
        statement = f"SET GLOBAL wsrep_provider_options = 'gmcast.isolate={int(isolated)}'"
        # Drivers begin with statements that an isolated node rejects.
        login = ("--host=127.0.0.1", f"--port={self.port}", "--user=userport", f"--password={self.password}")
        self.run("mariadb", "--no-defaults", "--protocol=tcp", *login, f"--execute={statement}")

    def clone_from(self, other: "GaleraNode") -> None:
        """Copy the data of a stopped node, so that joining needs no state transfer."""
        self.password = other.password
        for file in ("data", "welcome.sql"):
            self.run("cp", "-a", other.directory / file, self.directory / file)

    def _last_position(self) -> str:
        """Read the last position from the data of a node that has crashed."""
        self._start_options = ("--wsrep-recover",)
        command = [*as_another_user(), *self.command()]
        done = subprocess.run(command, cwd=self.directory, capture_output=True, text=True, check=False)  # noqa: S603
        found = re.search(r"Recovered position: (\S+)", done.stdout + done.stderr)
        if found is None:
            raise RuntimeError(f"there is no position to go on from:\n{done.stderr[-4000:]}")
        return found[1]


class GaleraCluster:
    """A cluster that starts when it is entered, and is complete then."""

    def __init__(self) -> None:
        programs = KIND.find_programs()
        if programs is None or not _PROVIDER.exists() or shutil.which("mariadb-install-db") is None:
            give_up("mariadb", "install Debian's packages mariadb-server and galera-4")
        self.nodes = [GaleraNode(programs) for _ in range(_NODES)]
        for node in self.nodes:
            node.members = self.nodes
        self._ends = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as ends:
            first, *others = self.nodes
            for node in self.nodes:
                ends.callback(node.__exit__)
                hand_over(node.directory)
            first.initialize()
            first.begin_cluster()
            first.stop()
            for node in others:
                node.clone_from(first)
            first.begin_cluster()
            for node in others:
                node.start()
            self._ends = ends.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()

    def create(self) -> str:
        """Create an empty database, which every node has then, and return its URL on the first one."""
        url = KIND.create(self.nodes[0].url)
        for node in self.nodes:
            execute(node.url, "SET SESSION wsrep_sync_wait = 15", "SELECT 1")
        return url
