"""The table of what clusters kept and answered while servers failed, as in the documentation."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from tests.clusters.results import Results

PAGE: Final = Path(__file__).parents[2] / "docs" / "reference" / "clusters.md"

_BEGINNING: Final = "<!-- made by `RECORD_CLUSTER_RESULTS=1 make test-clusters` from cluster-results.json -->"
_END: Final = "<!-- end of what is made -->"
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
    ),
    "patroni": (
        "three nodes under Patroni with etcd",
        "`synchronous_mode: true`; all hosts in the URL",
    ),
    "galera": ("three nodes, a process on each of two", "nothing"),
    "mongodb": ("a replica set of three members", "nothing"),
    "redis-sentinel": ("a master, two replicas, three Sentinels", f"`replicas=2` in the URL, {_DURABLE_REDIS}"),
    "redis-cluster": ("three masters with a replica each", f"`replicas=1` in the URL, {_DURABLE_REDIS}"),
}
"""What each topology consists of, and what its deployment must set."""


def table(results: Results) -> str:
    """Return the table in Markdown."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (_HEADINGS, _ALIGNMENT, *_rows(results)))


def _rows(results: Results) -> Iterator[Sequence[str]]:
    for topology, (description, settings) in _TOPOLOGIES.items():
        for fault, result in results.get(topology, {}).items():
            yield (
                result.engine,
                description,
                fault,
                str(result.acknowledged_writes),
                str(result.lost),
                str(result.wrong_answers),
                f"{result.seconds_until_writes:.1f}",
                settings,
            )


def in_page() -> str:
    """Return the table in the page."""
    return PAGE.read_text().split(f"{_BEGINNING}\n")[1].split(f"\n{_END}")[0]


def put_into_page(text: str) -> None:
    before, _, after = PAGE.read_text().partition(f"{_BEGINNING}\n{in_page()}\n{_END}")
    PAGE.write_text(f"{before}{_BEGINNING}\n{text}\n{_END}{after}")
