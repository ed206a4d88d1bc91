"""The table of what clusters kept and answered while servers failed, as in the documentation."""

from collections.abc import Iterator, Sequence
from typing import Final

from tests.clusters.results import Results
from tests.recorded_results import markdown_table

_HEADINGS: Final = (
    "engine",
    "topology",
    "fault",
    "acknowledged writes",
    "lost",
    "wrong answers",
    "seconds until writes resume",
    "what a deployment must set",
)
_ALIGNMENT: Final = ("---", "---", "---", "---:", "---:", "---:", "---:", "---")
_DURABLE_REDIS: Final = "`appendonly yes`, `appendfsync always`"
_TOPOLOGIES: Final = {
    "postgresql": (
        "a primary, two synchronous standbys",
        "`synchronous_standby_names = 'ANY 1 (*)'`; all hosts in the URL",
        "the primary and a standby are killed",
    ),
    "patroni": (
        "three nodes under Patroni with etcd",
        "`synchronous_mode: true`; all hosts in the URL",
        "",
    ),
    "galera": ("three nodes, a process on each of two", "nothing", "a node restarts while another is paused"),
    "mongodb": ("a replica set of three members", "nothing", "the primary is killed while a secondary is paused"),
    "redis-sentinel": (
        "a master, two replicas, three Sentinels",
        f"`replicas=2` in the URL, {_DURABLE_REDIS}",
        "the master and a Sentinel are killed",
    ),
    "redis-cluster": (
        "three masters with a replica each",
        f"`replicas=1` in the URL, {_DURABLE_REDIS}",
        "a master and the replica of another one are killed",
    ),
}
"""What each topology consists of, what its deployment must set, and which two faults it had at once."""


def table(results: Results) -> str:
    """Return the table in Markdown."""
    return markdown_table([_HEADINGS, _ALIGNMENT, *_rows(results)])


def _rows(results: Results) -> Iterator[Sequence[str]]:
    for topology, (description, settings, two_faults) in _TOPOLOGIES.items():
        for fault, result in results.get(topology, {}).items():
            yield (
                result.engine,
                description,
                f"{fault}: {two_faults}" if fault == "two at once" else fault,
                str(result.acknowledged_writes),
                str(result.lost),
                str(result.wrong_answers),
                f"{result.seconds_until_writes:.1f}",
                settings,
            )
