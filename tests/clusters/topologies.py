"""Clusters of each engine, with the faults that they survive."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Final, Literal, NamedTuple, TypeAlias, get_args

from tests.servers import mariadb, mongodb, postgresql, redis
from tests.servers.choice import Kind, give_up
from tests.servers.galera import GaleraCluster, GaleraNode
from tests.servers.mongodb_replica_set import MongodbReplicaSet
from tests.servers.patroni import PatroniCluster
from tests.servers.postgresql_replication import PostgresqlReplication
from tests.servers.process import ServerProcess, Unreachable, wait_until
from tests.servers.redis_cluster import RedisClusterProcesses
from tests.servers.redis_sentinel import RedisWithSentinels
from tests.servers.sql import execute

Fault: TypeAlias = Literal["kill", "pause", "restart", "partition", "two at once"]


class Topology(NamedTuple):
    version: str
    urls: list[str]
    """One for each service process."""

    fail: Callable[[Fault], Sequence[float]]
    """Cause a fault and heal it; return when the cluster itself accepted writes again, for each process."""

    durable_reads: bool = True


class TopologyKind(NamedTuple):
    kind: Kind
    start: Callable[[], AbstractContextManager[Topology]]
    faults: Sequence[Fault] = get_args(Fault)


@contextmanager
def replicated_postgresql() -> Iterator[Topology]:
    with PostgresqlReplication(has_links=True) as servers:
        own_url = postgresql.KIND.create(servers.primary.url)
        url = servers.url(own_url.rpartition("/")[2])

        def fail(fault: Fault) -> Sequence[float]:
            if fault == "restart":
                restart(servers.primary)
                servers.wait_for_standbys()
                return [time.monotonic()] * 2
            bring_about(fault, servers.primary)
            if fault == "two at once":
                standby = servers.standbys[0]
                standby.kill()
                standby.start()  # nothing is promoted without it: it may be the only one that has the last commits
            former = servers.fail_over()
            accepted = time.monotonic()
            former.kill()  # an operator must prevent a former primary from serving again
            return [accepted] * 2

        yield Topology(postgresql.KIND.version(own_url), [url, url], fail)


@contextmanager
def patroni_nodes() -> Iterator[Topology]:
    with PatroniCluster() as cluster:
        own_url = postgresql.KIND.create(cluster.primary().url)
        url = cluster.url(own_url.rpartition("/")[2])

        def fail(fault: Fault) -> Sequence[float]:
            primary = cluster.primary()
            bring_about(fault, primary)
            if fault != "restart":
                cluster.wait_for_another_primary(primary)
            accepted = time.monotonic()
            heal(primary)
            cluster.wait_until_complete()
            return [accepted] * 2

        yield Topology(postgresql.KIND.version(own_url), [url, url], fail)


@contextmanager
def galera_nodes() -> Iterator[Topology]:
    with GaleraCluster() as cluster:
        url = cluster.create()
        first, failing, other = cluster.nodes

        def fail(fault: Fault) -> Sequence[float]:
            if fault == "two at once":
                failing.pause()
                wait_until(lambda: other.status("cluster_size") == "2")
                restart(first)
            else:
                bring_about(fault, failing)
            if fault == "partition":
                wait_until(lambda: not takes_writes(failing))
            wait_until(lambda: takes_writes(first))
            accepted = time.monotonic()
            if fault == "partition":
                time.sleep(5)
            heal(failing)
            wait_until(lambda: takes_writes(failing))
            return [accepted, time.monotonic()]

        yield Topology(mariadb.KIND.version(url), [url, failing.url_of_same(url)], fail)


@contextmanager
def redis_with_sentinels() -> Iterator[Topology]:
    with RedisWithSentinels(redis_programs(), has_links=True) as servers:
        yield redis_topology(
            f"{redis.KIND.create(servers.url)}&replicas=2",
            master=lambda _: servers.master(),
            companion=servers.sentinels[0],
            is_complete=servers.is_complete,
        )


@contextmanager
def redis_cluster() -> Iterator[Topology]:
    with RedisClusterProcesses(redis_programs(), is_durable=True, has_links=True) as cluster:
        url = f"{redis.KIND.create(cluster.url)}&replicas=1"
        yield redis_topology(
            url,
            master=lambda failed: cluster.master_of(url, next(node for node in cluster.nodes if node not in failed)),
            companion=cluster.replica_elsewhere(url),
            is_complete=cluster.is_complete,
        )


def redis_programs() -> Path:
    return redis.KIND.find_programs() or give_up("redis", redis.KIND.how_to_get_it)


def redis_topology(
    url: str,
    *,
    master: Callable[[Sequence[ServerProcess]], ServerProcess],
    companion: ServerProcess,
    is_complete: Callable[[], bool],
) -> Topology:
    """Return a topology of which `master` finds the master, without asking those that have failed.

    `companion` is what may fail together with it.
    """

    def fail(fault: Fault) -> Sequence[float]:
        failing = master([])
        failed = [failing, companion] if fault == "two at once" else [failing]
        for server in failed:
            bring_about(fault, server)
        if fault != "restart":
            wait_until(lambda: master(failed) is not failing)
        for server in failed:
            heal(server)
        wait_until(is_complete)
        return [time.monotonic()] * 2

    return Topology(redis.KIND.version(master([]).url), [url, url], fail, durable_reads=False)


@contextmanager
def mongodb_members() -> Iterator[Topology]:
    with MongodbReplicaSet(has_links=True) as members:
        url = mongodb.KIND.create(members.url)

        def fail(fault: Fault) -> Sequence[float]:
            primary = members.primary()
            secondary = members.secondaries()[0]
            if fault == "two at once":
                secondary.pause()
            bring_about(fault, primary)
            if fault == "two at once":
                time.sleep(5)  # without a majority
                secondary.resume()
            members.wait_for_another_primary(primary)
            accepted = time.monotonic()
            heal(primary)
            members.wait_until_complete()
            return [accepted] * 2

        yield Topology(mongodb.KIND.version(url), [url, url], fail)


TOPOLOGIES: Final[dict[str, TopologyKind]] = {
    "postgresql": TopologyKind("postgresql", replicated_postgresql),
    # Its PostgreSQL is not a child of Patroni, so that nothing pauses both at once.
    "patroni": TopologyKind("postgresql", patroni_nodes, ("kill", "restart")),
    "galera": TopologyKind("mariadb", galera_nodes),
    "mongodb": TopologyKind("mongodb", mongodb_members),
    "redis-sentinel": TopologyKind("redis", redis_with_sentinels),
    "redis-cluster": TopologyKind("redis", redis_cluster),
}


def bring_about(fault: Fault, server: ServerProcess) -> None:
    match fault:
        case "kill" | "two at once":
            server.kill()
        case "pause":
            server.pause()
        case "restart":
            restart(server)
        case "partition":
            server.cut_off()


def restart(server: ServerProcess) -> None:
    server.stop()
    server.start()


def heal(server: ServerProcess) -> None:
    server.resume()
    if not server.is_running:
        server.start()
    server.reconnect()


def takes_writes(node: GaleraNode) -> bool:
    with suppress(Unreachable):
        execute(node.url, "CREATE DATABASE IF NOT EXISTS probe", "DROP DATABASE probe")
        return True
    return False
