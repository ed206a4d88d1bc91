"""A Redis cluster: three masters, each with a replica, on the loopback interface."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import quote

from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot
from redis.exceptions import ResponseError

from adapters.redis.config import RedisConfig
from adapters.redis.scripts import VERSION
from tests.servers.link import Link
from tests.servers.process import add_links, free_port, wait_until
from tests.servers.redis import RedisProcess, client

_MASTERS: Final = 3


class ClusterNode(RedisProcess):
    """One node; all nodes of a cluster have the same password."""

    def __init__(self, programs: Path, number: int, *, is_durable: bool) -> None:
        super().__init__(programs)
        self.bus_port = free_port()
        self.bus_link: Link | None = None
        self.others: Sequence[ClusterNode] = ()
        self.source = f"127.0.0.{2 + number}"
        self._is_durable = is_durable

    @property
    def peer_bus_port(self) -> int:
        """The port of the cluster's bus that other nodes use."""
        return self.bus_link.port if self.bus_link else self.bus_port

    def cut_off(self) -> None:
        """Let nothing reach the server, and nothing from it reach the other nodes: they would answer it."""
        super().cut_off()
        for link, source in self._bus_links():
            link.cut(source)

    def reconnect(self) -> None:
        super().reconnect()
        for link, source in self._bus_links():
            link.restore(source)

    def _bus_links(self) -> Iterator[tuple[Link, str]]:
        """Yield each link to a bus that this node uses, with the address from which this node does."""
        for node in self.others:
            for link, source in ((self.bus_link, node.source), (node.bus_link, self.source)):
                if link is not None:
                    yield link, source

    def settings(self) -> Sequence[str]:
        return (
            *(("appendonly yes", "appendfsync always") if self._is_durable else super().settings()),
            "cluster-enabled yes",
            f"cluster-port {self.bus_port}",
            "cluster-announce-ip 127.0.0.1",
            f"cluster-announce-port {self.peer_port}",
            f"cluster-announce-bus-port {self.peer_bus_port}",
            *([f"bind-source-addr {self.source}"] if self.bus_link else []),  # by which links know it
            "cluster-node-timeout 2000",
            "repl-diskless-sync-delay 0",
            "repl-ping-replica-period 1",  # a master only counts on a replica after sending something to it
            "masteruser userport",
            f"masterauth {self.password}",
        )

    def ask(self, *command: str | bytes | int) -> Any:
        with client(self.url) as redis:
            return redis.execute_command(*command)

    def is_complete(self) -> bool:
        """Return whether this node sees the whole cluster and, as a replica, is in sync with its master."""
        role, *details = self.ask("ROLE")
        return (
            b"cluster_state:ok" in self.ask("CLUSTER", "INFO")
            and all(len(nodes) == 2 for _, _, *nodes in self.shards())
            and (role == b"master" or b"connected" in details)
        )

    def shards(self) -> Any:
        """Return the first slot, the last slot, the master and the replicas of each range of slots."""
        return self.ask("CLUSTER", "SLOTS")


class RedisClusterProcesses:
    """A cluster that starts when it is entered, and is complete then."""

    def __init__(self, programs: Path, *, is_durable: bool = False, has_links: bool = False) -> None:
        """With `has_links`, nodes and clients reach each node through its links."""
        self.nodes = [ClusterNode(programs, number, is_durable=is_durable) for number in range(2 * _MASTERS)]
        for node in self.nodes:
            node.password = self.nodes[0].password
            node.others = [other for other in self.nodes if other is not node]
        self._has_links = has_links
        self._ends = ExitStack()

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{node.peer_port}" for node in self.nodes[:2])
        return f"redis+cluster://userport:{quote(self.nodes[0].password, safe='')}@{hosts}"

    def __enter__(self) -> Self:
        with ExitStack() as ends:
            if self._has_links:
                add_links(self.nodes, ends)
                for node in self.nodes:
                    node.bus_link = ends.enter_context(Link(node.bus_port))
            for node in self.nodes:
                ends.enter_context(node)
            self._join()
            self._ends = ends.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()

    def master_of(self, url: str, observer: ClusterNode | None = None) -> ClusterNode:
        """Return the node that has the keys of a database, according to the observer, by default the first node."""
        slot = self._slot_of(url)
        shards = (observer or self.nodes[0]).shards()
        port = next(master[1] for first, last, master, *_ in shards if first <= slot <= last)
        return next(node for node in self.nodes if node.peer_port == port)

    def replica_elsewhere(self, url: str) -> ClusterNode:
        """Return the replica of a shard that does not have the keys of a database."""
        slot = self._slot_of(url)
        port = next(nodes[1][1] for first, last, *nodes in self.nodes[0].shards() if not first <= slot <= last)
        return next(node for node in self.nodes if node.peer_port == port)

    def is_complete(self) -> bool:
        return all(node.is_complete() for node in self.nodes)

    def move_to_another_master(self, url: str) -> Iterator[None]:
        """Move a database in three steps, one per iteration: half of its keys, the other half, its slot."""
        slot, source = self._slot_of(url), self.master_of(url)
        target = next(node for node in self.nodes[:_MASTERS] if node is not source)
        source_id, target_id = source.ask("CLUSTER", "MYID"), target.ask("CLUSTER", "MYID")
        target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", source_id)
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", target_id)
        keys = source.ask("CLUSTER", "GETKEYSINSLOT", slot, 100)
        to_target = ("MIGRATE", "127.0.0.1", target.port, "", 0, 5_000, "AUTH2", "userport", target.password, "KEYS")
        for half in (keys[::2], keys[1::2]):
            source.ask(*to_target, *half)
            yield
        for node in (target, source):
            node.ask("CLUSTER", "SETSLOT", slot, "NODE", target_id)
        yield

    def wait_for_replica(self, url: str) -> None:
        """Wait until the replica of a database is in sync with its master."""
        with client(self.master_of(url).url) as redis, redis.pipeline(transaction=False) as one_connection:
            one_connection.hset(RedisConfig.parse(url).key("state"), "version", VERSION).wait(1, 0).execute()

    def _slot_of(self, url: str) -> int:
        return key_slot(RedisConfig.parse(url).key("").encode())

    def _join(self) -> None:
        share = -(-REDIS_CLUSTER_HASH_SLOTS // _MASTERS)
        for number, node in enumerate(self.nodes):
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            if number < _MASTERS:
                last = min((number + 1) * share, REDIS_CLUSTER_HASH_SLOTS) - 1
                node.ask("CLUSTER", "ADDSLOTSRANGE", number * share, last)
            self.nodes[0].ask("CLUSTER", "MEET", "127.0.0.1", node.peer_port, node.peer_bus_port)
        for master, replica in zip(self.nodes[:_MASTERS], self.nodes[_MASTERS:], strict=True):
            master_id = master.ask("CLUSTER", "MYID")
            wait_until(lambda: _accepted(replica, "CLUSTER", "REPLICATE", master_id))  # noqa: B023 - called at once
        wait_until(self.is_complete)


def _accepted(node: ClusterNode, *command: str | bytes) -> bool:
    try:
        node.ask(*command)
    except ResponseError:  # it does not know the other node yet
        return False
    return True
