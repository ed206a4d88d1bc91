"""The results of the last run of each topology and fault, kept beside the documentation that shows them."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

FILE: Final = Path(__file__).parents[2] / "docs" / "reference" / "cluster-results.json"


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
    found: Mapping[str, Mapping[str, dict[str, object]]] = json.loads(FILE.read_text()) if FILE.exists() else {}
    return {
        topology: {fault: Result(**fields) for fault, fields in faults.items()}  # type: ignore[arg-type] # as written
        for topology, faults in found.items()
    }


def record(topology: str, fault: str, result: Result) -> None:
    """Replace the recorded result of a fault."""
    results = load()
    results.setdefault(topology, {})[fault] = result
    content = {
        name: {each: asdict(faults[each]) for each in sorted(faults)} for name, faults in sorted(results.items())
    }
    FILE.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
