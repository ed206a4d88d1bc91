"""Clusters of each engine, with the faults that they survive."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Final, Literal, NamedTuple, TypeAlias

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

Fault: TypeAlias = Literal["kill", "pause", "restart", "partition"]


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
    faults: Sequence[Fault] = ("kill", "pause", "restart", "partition")


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
        _, failing, _ = cluster.nodes

        def fail(fault: Fault) -> Sequence[float]:
            if fault == "partition":
                failing.isolate(isolated=True)
                wait_until(lambda: not takes_writes(failing))
            else:
                bring_about(fault, failing)
            wait_until(lambda: takes_writes(cluster.nodes[0]))
            accepted = time.monotonic()
            if fault == "partition":
                time.sleep(5)
                failing.isolate(isolated=False)
            else:
                heal(failing)
            wait_until(lambda: takes_writes(failing))
            return [accepted, time.monotonic()]

        yield Topology(mariadb.KIND.version(url), [url, failing.url_of_same(url)], fail)


@contextmanager
def redis_with_sentinels() -> Iterator[Topology]:
    programs = redis.KIND.find_programs()
    if programs is None:
        give_up("redis", redis.KIND.how_to_get_it)
    with RedisWithSentinels(programs, has_links=True) as servers:
        url = f"{redis.KIND.create(servers.url)}&replicas=2"

        def fail(fault: Fault) -> Sequence[float]:
            master = servers.master()
            bring_about(fault, master)
            if fault != "restart":
                wait_until(lambda: servers.master() is not master)
            heal(master)
            wait_until(lambda: servers.master().ask("INFO", "replication")["connected_slaves"] == 2)
            return [time.monotonic()] * 2

        yield Topology(redis.KIND.version(servers.servers[0].url), [url, url], fail, durable_reads=False)


@contextmanager
def redis_cluster() -> Iterator[Topology]:
    programs = redis.KIND.find_programs()
    if programs is None:
        give_up("redis", redis.KIND.how_to_get_it)
    with RedisClusterProcesses(programs, is_durable=True) as cluster:
        url = f"{redis.KIND.create(cluster.url)}&replicas=1"

        def fail(fault: Fault) -> Sequence[float]:
            master = cluster.master_of(url)
            observer = next(node for node in cluster.nodes if node is not master)
            bring_about(fault, master)
            if fault != "restart":
                wait_until(lambda: cluster.master_of(url, observer) is not master)
            heal(master)
            wait_until(lambda: all(node.is_complete() for node in cluster.nodes))
            return [time.monotonic()] * 2

        yield Topology(redis.KIND.version(cluster.nodes[0].url), [url, url], fail, durable_reads=False)


@contextmanager
def mongodb_members() -> Iterator[Topology]:
    with MongodbReplicaSet(has_links=True) as members:
        url = mongodb.KIND.create(members.url)

        def fail(fault: Fault) -> Sequence[float]:
            primary = members.primary()
            bring_about(fault, primary)
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
    # The nodes of a cluster connect to each other in both directions, so no proxy can isolate one.
    "redis-cluster": TopologyKind("redis", redis_cluster, ("kill", "pause", "restart")),
}


def bring_about(fault: Fault, server: ServerProcess) -> None:
    match fault:
        case "kill":
            server.kill()
        case "pause":
            server.pause()
        case "restart":
            restart(server)
        case "partition":
            assert server.link
            server.link.cut()


def restart(server: ServerProcess) -> None:
    server.stop()
    server.start()


def heal(server: ServerProcess) -> None:
    server.resume()
    if not server.is_running:
        server.start()
    if server.link:
        server.link.restore()


def takes_writes(node: GaleraNode) -> bool:
    with suppress(Unreachable):
        execute(node.url, "CREATE DATABASE IF NOT EXISTS probe", "DROP DATABASE probe")
        return True
    return False
