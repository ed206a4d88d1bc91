"""The results of a run, as they are recorded."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from benchmarks.bench.wrk import Run


@dataclass(frozen=True, slots=True)
class IdleApp:
    """The start-up time and idle memory of one app, round by round."""

    seconds_to_first_answer: list[float] = field(default_factory=list)
    idle_mebibytes: list[float] = field(default_factory=list)

    def summary(self) -> dict[str, float]:
        return {
            "seconds_to_first_answer": round(median(self.seconds_to_first_answer), 3),
            "idle_mebibytes": round(median(self.idle_mebibytes), 1),
        }


@dataclass(frozen=True, slots=True)
class Measurement:
    """The runs of one call on one app with a number of connections."""

    call: str
    connections: int
    app: str
    runs: Sequence[Run]

    @property
    def requests_per_second(self) -> float:
        return median(run.requests_per_second for run in self.runs)

    @property
    def p50_milliseconds(self) -> float:
        return median(run.p50_milliseconds for run in self.runs)

    @property
    def p99_milliseconds(self) -> float:
        return median(run.p99_milliseconds for run in self.runs)

    @property
    def failed(self) -> int:
        return sum(run.failed for run in self.runs)

    def summary(self, userport: "Measurement | None") -> dict[str, object]:
        found: dict[str, object] = {
            "call": self.call,
            "connections": self.connections,
            "app": self.app,
            "requests_per_second": round(self.requests_per_second, 1),
            "p50_milliseconds": round(self.p50_milliseconds, 3),
            "p99_milliseconds": round(self.p99_milliseconds, 3),
            "failed": self.failed,
            "requests_per_second_by_round": [round(run.requests_per_second, 1) for run in self.runs],
        }
        return found if userport is None else {**found, "userport_is_times_as_fast": ratio(userport, self)}


@dataclass(frozen=True, slots=True)
class StoreResults:
    version: str
    at_rest: dict[str, IdleApp]
    measured: Sequence[Measurement]

    def userport_beside(self, measured: Measurement) -> Measurement | None:
        """Return userport's own measurement of the same case, unless this is it."""
        same = (measured.call, measured.connections, "userport")
        found = (other for other in self.measured if (other.call, other.connections, other.app) == same)
        return None if measured.app == "userport" else next(found, None)

    def summary(self) -> dict[str, object]:
        return {
            "version": self.version,
            "at_rest": {name: app.summary() for name, app in self.at_rest.items()},
            "measured": [measured.summary(self.userport_beside(measured)) for measured in self.measured],
        }


def write_down(results: Mapping[str, object], file: Path | None) -> None:
    """Write results to a file as JSON, if there is one."""
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n")


def ratio(userport: Measurement, other: Measurement) -> float:
    return round(userport.requests_per_second / other.requests_per_second, 2)
