"""The table of what each store has shown, as it stands in the documentation."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.capabilities.results import Result

PAGE: Final = Path(__file__).parents[2] / "docs" / "storage.md"

_BEGINNING: Final = "<!-- made by `make capabilities` from contract-results.json -->"
_END: Final = "<!-- end of what is made -->"
_HEADINGS: Final = ("storage", "tested with", "contract cases passed", "planted bugs caught", "a commit, once answered")

_GUARANTEES: Final = {
    "memory": "lasts until the process ends",
    "sqlite": "survives a power cut: the log is synced at every commit (`synchronous=FULL`, WAL)",
    "postgresql": "survives a power cut, unless the server was told otherwise (`synchronous_commit`, `fsync`)",
    "mariadb": "survives a power cut, unless the server was told otherwise (`innodb_flush_log_at_trx_commit`)",
    "mongodb": "is in the journals of a majority of the replica set (`w: majority, j: true`)",
    "redis": "depends on `appendfsync`, and userport says at its start when one could be lost; replicas follow later",
    "dynamodb": "is on the disks of several data centres, as AWS promises of every write",
}


def stores() -> Sequence[str]:
    return list(_GUARANTEES)


def table(results: Mapping[str, Result]) -> str:
    """Draw the table in Markdown."""
    rows = [_HEADINGS, ["---"] * len(_HEADINGS), *_rows(results)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _rows(results: Mapping[str, Result]) -> Iterator[Sequence[str]]:
    for store, guarantee in _GUARANTEES.items():
        result = results.get(store, Result())
        contract, bugs = result.contract, result.bugs
        yield (
            f"`{store}`",
            contract.server if contract else "not tested",
            f"{contract.passed} of {contract.cases}" if contract else "none",
            f"{bugs.caught} of {bugs.planted}" if bugs else "none planted",
            guarantee,
        )


def in_page() -> str:
    """Cut the table out of the page."""
    return PAGE.read_text().split(f"{_BEGINNING}\n")[1].split(f"\n{_END}")[0]


def put_into_page(text: str) -> None:
    PAGE.write_text(PAGE.read_text().replace(in_page(), text))
