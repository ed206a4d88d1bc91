"""No acknowledged write is lost and no answer is wrong while servers fail under several service processes."""

import asyncio
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from typing import Final, Literal, NamedTuple, TypeAlias

import pytest

from tests.cli.serving import serving, wait_until_ready
from tests.clusters.history import anomalies
from tests.clusters.workers import Workers
from tests.servers import mariadb, mongodb, postgresql, redis
from tests.servers.choice import give_up, skip_unless_chosen
from tests.servers.galera import GaleraCluster, GaleraNode
from tests.servers.mongodb_replica_set import MongodbReplicaSet
from tests.servers.postgresql_replication import PostgresqlReplication
from tests.servers.process import ServerProcess, Unreachable, wait_until
from tests.servers.redis_sentinel import RedisWithSentinels
from tests.servers.sql import execute
from tests.storage.database_contract import connected

pytestmark = pytest.mark.cluster

Fault: TypeAlias = Literal["kill", "pause"]

CALM_SECONDS: Final = 3
"""How long the workers work before the fault, and after the cluster is whole again."""


class Topology(NamedTuple):
    urls: list[str]
    """One for each service process."""

    fail: Callable[[Fault], float]
    """Bring a fault about and heal it; return when the cluster itself took writes again."""

    durable_reads: bool = True


@contextmanager
def replicated_postgresql() -> Iterator[Topology]:
    with PostgresqlReplication() as servers:
        url = servers.url(postgresql.KIND.create(servers.primary.url).rpartition("/")[2])

        def fail(fault: Fault) -> float:
            bring_about(fault, servers.primary)
            former = servers.fail_over()
            accepted = time.monotonic()
            former.kill()  # an operator must prevent a former primary from serving again
            return accepted

        yield Topology([url, url], fail)


@contextmanager
def galera_nodes() -> Iterator[Topology]:
    with GaleraCluster() as cluster:
        url = mariadb.KIND.create(cluster.nodes[0].url)

        def fail(fault: Fault) -> float:
            bring_about(fault, cluster.nodes[1])
            wait_until(lambda: takes_writes(cluster.nodes[0]))
            accepted = time.monotonic()
            heal(cluster.nodes[1])
            wait_until(lambda: takes_writes(cluster.nodes[1]))
            return accepted

        yield Topology([url, cluster.nodes[1].url_of_same(url)], fail)


@contextmanager
def redis_with_sentinels() -> Iterator[Topology]:
    programs = redis.KIND.find_programs()
    if programs is None:
        give_up("redis", redis.KIND.how_to_get_it)
    with RedisWithSentinels(programs) as servers:
        url = f"{redis.KIND.create(servers.url)}&replicas=2"

        def fail(fault: Fault) -> float:
            master = servers.master()
            bring_about(fault, master)
            wait_until(lambda: servers.master() is not master)
            heal(master)
            wait_until(lambda: servers.master().ask("INFO", "replication")["connected_slaves"] == 2)
            return time.monotonic()

        yield Topology([url, url], fail, durable_reads=False)


@contextmanager
def mongodb_members() -> Iterator[Topology]:
    with MongodbReplicaSet() as members:
        url = mongodb.KIND.create(members.url)

        def fail(fault: Fault) -> float:
            primary = members.primary()
            bring_about(fault, primary)
            members.primary()
            accepted = time.monotonic()
            heal(primary)
            members.wait_until_complete()
            return accepted

        yield Topology([url, url], fail)


TOPOLOGIES: Final[dict[str, Callable[[], AbstractContextManager[Topology]]]] = {
    "postgresql": replicated_postgresql,
    "mariadb": galera_nodes,
    "redis": redis_with_sentinels,
    "mongodb": mongodb_members,
}


@pytest.mark.parametrize("fault", ["kill", "pause"])
@pytest.mark.parametrize("kind", TOPOLOGIES)
async def test_nothing_that_was_answered_is_lost_or_wrong(kind: str, fault: Fault) -> None:
    skip_unless_chosen(kind)
    with ExitStack() as stack:
        topology = stack.enter_context(TOPOLOGIES[kind]())
        async with connected(topology.urls[0]) as storage:
            await storage.prepare()
        processes = [stack.enter_context(serving(url)) for url in topology.urls]
        logs = [Log(process) for process, _ in processes]
        addresses = [address for _, address in processes]
        for address in addresses:
            wait_until_ready(address)
        workers, stop = Workers(addresses), asyncio.Event()
        working = asyncio.create_task(workers.run(stop))
        await asyncio.sleep(CALM_SECONDS)
        accepted = await asyncio.to_thread(topology.fail, fault)
        await asyncio.sleep(CALM_SECONDS)
        stop.set()
        await working
        for address in addresses:
            wait_until_ready(address)
        state = await workers.state()
    acknowledged = sum(each.is_acknowledged and each.kind != "read" for each in workers.history)
    resumed = workers.seconds_until_write(accepted)
    print(f"{kind}, {fault}: {acknowledged} acknowledged writes, resumed after {resumed:.1f} s")  # noqa: T201
    assert "\n".join(anomalies(workers.history, state, durable_reads=topology.durable_reads)) == ""
    assert acknowledged
    assert not [log for log in logs if "Traceback" in log.text()]  # no driver's exception has left its adapter


class Log:
    """Reads what a process writes to its standard error, which would block it otherwise."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        self._lines: list[str] = []
        self._thread = threading.Thread(target=self._lines.extend, args=[process.stderr])
        self._thread.start()

    def text(self) -> str:
        """Return all of it, once the process has ended."""
        self._thread.join()
        return "".join(self._lines)


def bring_about(fault: Fault, server: ServerProcess) -> None:
    server.kill() if fault == "kill" else server.pause()


def heal(server: ServerProcess) -> None:
    server.resume()
    if not server.is_running:
        server.start()


def takes_writes(node: GaleraNode) -> bool:
    with suppress(Unreachable):
        execute(node.url, "CREATE DATABASE IF NOT EXISTS probe", "DROP DATABASE probe")
        return True
    return False
