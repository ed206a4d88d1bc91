"""Write the results of `make bench-orms` into docs/explanation/which-orm.md, and plot them.

benchmarks/.venv/bin/python -m benchmarks.orms
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

Results: TypeAlias = Mapping[str, Any]

ROOT: Final = Path(__file__).parents[1]
RESULTS: Final = ROOT / "benchmarks" / "results" / "orms.json"
PAGE: Final = ROOT / "docs" / "explanation" / "which-orm.md"
NOT_MEASURED: Final = "\nThey have not been measured yet.\n\n"
BLOCK: Final = re.compile(r"(?<=<!-- figures -->\n).*?(?=<!-- end of figures -->)", re.DOTALL)

_NAMES: Final = {
    "userport": "built-in SQL adapter",
    "userport-sqlalchemy-orm": "SQLAlchemy's ORM",
    "userport-tortoise": "Tortoise ORM",
    "userport-piccolo": "Piccolo",
    "userport-pony": "Pony ORM",
    "tutorial": "tutorial app",
}
_CALLS: Final = ("GET /users/{id}", "GET /users?limit=50", "POST /users")


def main() -> None:
    results = json.loads(RESULTS.read_text())
    PAGE.write_text(BLOCK.sub(lambda _: figures(results), PAGE.read_text()))
    plot(results, PAGE.with_suffix(".svg"))


def figures(results: Results) -> str:
    """Return a table for each store, in Markdown, with the machine they were measured on."""
    machine, settings = results["machine"], results["settings"]
    tables = "\n".join(f"### {on['version']}\n\n{_table(on)}" for on in results["stores"].values())
    return (
        f"\n![Requests a second of each ORM](which-orm.svg)\n\n{tables}\n"
        f"Medians of {settings['rounds']} rounds of {settings['seconds']} seconds, in turns, with "
        f"{settings['connections'][0]} connections and {settings['users']:,} users.\n"
        f"Each app is one process on one core. Python {results['versions']['python']}, {machine['processor']}, "
        f"{machine['cores']} cores.\n\n"
    )


def plot(results: Results, file: Path) -> None:
    from matplotlib import pyplot  # type: ignore[import-not-found, unused-ignore] # the rivals' environment has it

    stores = results["stores"].values()
    figure, axes = pyplot.subplots(
        len(stores), len(_CALLS), figsize=(10, 2.5 * len(stores)), layout="constrained", squeeze=False
    )
    for row, on_store in zip(axes, stores, strict=True):
        apps = _apps(on_store)
        for axis, call in zip(row, _CALLS, strict=True):
            axis.barh([_NAMES[app] for app in apps], [_requests(on_store, app, call) for app in apps], color="#1b6ca8")
            axis.invert_yaxis()
            axis.set_title(f"{call}, {on_store['version']}", fontsize=8)
            axis.tick_params(labelsize=7, labelleft=axis is row[0])
            axis.spines[["top", "right"]].set_visible(False)
    figure.supxlabel("requests/s", fontsize=8)
    figure.savefig(file, metadata={"Date": None})


def _table(on_store: Results) -> str:
    head = ["", *(f"`{call}`/s" for call in _CALLS), "s to the first answer", "MiB at rest"]
    rows = [[_NAMES[app], *_figures(on_store, app)] for app in _apps(on_store)]
    lines = [head, ["---", *("---:" for _ in head[1:])], *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _figures(on_store: Results, app: str) -> Sequence[str]:
    at_rest = on_store["at_rest"][app]
    return [
        *(f"{_requests(on_store, app, call):,.0f}" for call in _CALLS),
        f"{at_rest['seconds_to_first_answer']:.2f}",
        f"{at_rest['idle_mebibytes']:.0f}",
    ]


def _apps(on_store: Results) -> Sequence[str]:
    return [name for name in _NAMES if name in on_store["at_rest"]]


def _requests(on_store: Results, app: str, call: str) -> float:
    """Return the requests a second with several connections; one call is also measured with one."""
    found = [case for case in on_store["measured"] if (case["app"], case["call"]) == (app, call)]
    return float(max(found, key=lambda case: case["connections"])["requests_per_second"])


if __name__ == "__main__":
    main()
