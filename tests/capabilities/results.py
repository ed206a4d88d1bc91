"""The results of the last full test of each store, kept beside the documentation that shows them."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

FILE: Final = Path(__file__).parents[2] / "docs" / "reference" / "contract-results.json"


@dataclass(frozen=True, slots=True)
class Contract:
    """The result of a store in the storage contract."""

    server: str
    cases: int
    passed: int


@dataclass(frozen=True, slots=True)
class Bugs:
    """How many of the bugs planted in a store's adapter the contract noticed."""

    planted: int
    caught: int


@dataclass(frozen=True, slots=True)
class Result:
    contract: Contract | None = None
    bugs: Bugs | None = None


def load() -> dict[str, Result]:
    """Return the results by store."""
    found: dict[str, dict[str, Any]] = json.loads(FILE.read_text()) if FILE.exists() else {}
    return {
        store: Result(
            contract=Contract(**result["contract"]) if result["contract"] else None,
            bugs=Bugs(**result["bugs"]) if result["bugs"] else None,
        )
        for store, result in found.items()
    }


def record(store: str, *, contract: Contract | None = None, bugs: Bugs | None = None) -> None:
    """Replace the recorded results of a store."""
    results = load()
    before = results.get(store, Result())
    results[store] = Result(contract=contract or before.contract, bugs=bugs or before.bugs)
    stores = {name: asdict(results[name]) for name in sorted(results)}
    FILE.write_text(json.dumps(stores, indent=2, ensure_ascii=False) + "\n")
