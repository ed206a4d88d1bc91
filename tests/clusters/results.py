"""The results of the last run of each topology and fault."""

from dataclasses import asdict, dataclass
from typing import Final

from tests.recorded_results import RecordedResults

RECORDED: Final = RecordedResults("cluster-results.json", "clusters.md", "RECORD_CLUSTER_RESULTS=1 make test-clusters")
MAX_SECONDS_UNTIL_WRITES: Final = 5


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a topology under one fault."""

    engine: str
    acknowledged_writes: int
    lost: int
    wrong_answers: int
    seconds_until_writes: float


Results = dict[str, dict[str, Result]]
"""By topology and fault."""


def load() -> Results:
    return {
        topology: {fault: Result(**fields) for fault, fields in faults.items()}
        for topology, faults in RECORDED.load().items()
    }


def record(topology: str, fault: str, result: Result) -> None:
    """Replace the recorded result of a fault."""
    results = RECORDED.load()
    faults = {**results.get(topology, {}), fault: asdict(result)}
    RECORDED.save({**results, topology: {each: faults[each] for each in sorted(faults)}})
