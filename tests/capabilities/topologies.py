"""Stores behind poolers and on clusters, and the table of their results in the storage contract."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Final, NamedTuple

from tests.recorded_results import RecordedResults, markdown_table
from tests.servers.choice import Kind

RECORDED: Final = RecordedResults("topology-results.json", "storages.md", "make capabilities")
_STORAGE_TESTS: Final = "tests/storage"


class Topology(NamedTuple):
    kind: Kind
    name: str
    tests: str
    """The class of the contract's cases on it."""


TOPOLOGIES: Final[Mapping[str, Topology]] = {
    "pgbouncer_session": Topology(
        "postgresql",
        "PgBouncer in session mode",
        f"{_STORAGE_TESTS}/test_postgresql_poolers.py::TestPostgreSQLBySessionPooler",
    ),
    "pgbouncer_transaction": Topology(
        "postgresql",
        "PgBouncer in transaction mode",
        f"{_STORAGE_TESTS}/test_postgresql_poolers.py::TestPostgreSQLByTransactionPooler",
    ),
    "galera": Topology(
        "mariadb",
        "Galera, every second client on another node",
        f"{_STORAGE_TESTS}/test_mariadb_galera.py::TestGaleraStorage",
    ),
    "redis_sentinel": Topology(
        "redis", "Redis with Sentinels", f"{_STORAGE_TESTS}/test_redis_sentinel.py::TestRedisSentinelStorage"
    ),
    "redis_cluster": Topology(
        "redis", "Redis Cluster", f"{_STORAGE_TESTS}/test_redis_cluster.py::TestRedisClusterStorage"
    ),
}


@dataclass(frozen=True, slots=True)
class Passed:
    """How many cases of the contract there are, and how many passed."""

    cases: int
    passed: int


def load() -> dict[str, Passed]:
    """Return the results by topology."""
    return {name: Passed(**result) for name, result in RECORDED.load().items()}


def record(topology: str, result: Passed) -> None:
    """Replace the recorded result of a topology."""
    RECORDED.save({name: asdict(each) for name, each in (load() | {topology: result}).items()})


def table(results: Mapping[str, Passed]) -> str:
    """Return the table in Markdown."""
    rows = [
        (topology.name, f"{result.passed} of {result.cases}")
        for name, topology in TOPOLOGIES.items()
        if (result := results.get(name))
    ]
    return markdown_table([("topology", "contract cases passed"), ("---", "---"), *rows])
