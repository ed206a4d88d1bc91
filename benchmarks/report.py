"""Write the results of `make bench` as the tables and the plot of docs/explanation/performance.md.

benchmarks/.venv/bin/python -m benchmarks.report benchmarks/results/comparison.json \
    --plot docs/explanation/performance.svg
"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

Results: TypeAlias = Mapping[str, Any]
Found: TypeAlias = Mapping[tuple[str, int, str], Mapping[str, Any]]

_RIVALS: Final = {"tutorial": "tutorial", "litestar": "Litestar", "asyncpg": "asyncpg by hand", "constant": "constant"}
_COLOURS: Final = {
    "userport": "#1b6ca8",
    "tutorial": "#c9c9c9",
    "litestar": "#9a9a9a",
    "asyncpg": "#6b6b6b",
    "constant": "#e3c878",
}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("results", type=Path)
    arguments.add_argument("--plot", type=Path, metavar="FILE", help="where to draw it")
    given = arguments.parse_args()
    results = json.loads(given.results.read_text())
    for name in results["stores"]:
        print(table(results, name))
    if given.plot:
        plot(results, given.plot)


def table(results: Results, store: str) -> str:
    """Return one store's results as a table in Markdown: userport's figures, and the ratio to the others'."""
    found = _by_case(results, store)
    rivals = [name for name in _RIVALS if any(app == name for _, _, app in found)]
    head = ["call", "connections", "requests/s", "p50 ms", "p99 ms", *(f"to {_RIVALS[name]}" for name in rivals)]
    rows = [
        [
            call,
            str(connections),
            *_figures(own),
            *(_ratio(found.get((call, connections, name))) for name in rivals),
        ]
        for (call, connections, app), own in found.items()
        if app == "userport"
    ]
    lines = [head, ["---", *("---:" for _ in head[1:])], *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def plot(results: Results, file: Path) -> None:
    """Plot requests per second of all apps, at the highest number of connections."""
    from matplotlib import pyplot  # type: ignore[import-not-found, unused-ignore] # the rivals' environment has it

    stores = results["stores"]
    figure, axes = pyplot.subplots(len(stores), 1, figsize=(9, 4 * len(stores)), layout="constrained")
    most = max(results["settings"]["connections"])
    for axis, (store, on_store) in zip([axes] if len(stores) == 1 else axes, stores.items(), strict=True):
        found = _by_case(results, store)
        calls = list(dict.fromkeys(call for call, connections, _ in found if connections == most))
        apps = [app for app in _COLOURS if any(name == app for _, _, name in found)]
        for place, app in enumerate(apps):
            heights = [found.get((call, most, app), {}).get("requests_per_second", 0) for call in calls]
            offset = (place - (len(apps) - 1) / 2) / (len(apps) + 1)
            provider = [number + offset for number in range(len(calls))]
            axis.bar(provider, heights, 1 / (len(apps) + 1), label=_RIVALS.get(app, app), color=_COLOURS[app])
        axis.set_xticks(
            range(len(calls)),
            [call.replace(" with", "\nwith").replace(" near", "\nnear") for call in calls],
            fontsize=8,
        )
        axis.set_ylabel("requests/s")
        axis.set_title(f"{on_store['version']}, {most} connections, one worker on one core", fontsize=10)
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(fontsize=8, frameon=False)
    figure.savefig(file, metadata={"Date": None})


def _by_case(results: Results, store: str) -> Found:
    measured: Sequence[Mapping[str, Any]] = results["stores"][store]["measured"]
    return {(case["call"], case["connections"], case["app"]): case for case in measured}


def _figures(case: Mapping[str, Any]) -> Iterator[str]:
    yield f"{case['requests_per_second']:,.0f}"
    yield f"{case['p50_milliseconds']:.2f}"
    yield f"{case['p99_milliseconds']:.2f}"


def _ratio(other: Mapping[str, Any] | None) -> str:
    return "" if other is None else f"{other['userport_is_times_as_fast']:.2f} ×"


if __name__ == "__main__":
    main()
