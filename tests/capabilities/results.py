"""The results of the last full test of each store."""

from dataclasses import asdict, dataclass
from typing import Final

from tests.recorded_results import RecordedResults

RECORDED: Final = RecordedResults("contract-results.json", "storages.md", "make capabilities")


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
    return {
        store: Result(
            contract=Contract(**result["contract"]) if result["contract"] else None,
            bugs=Bugs(**result["bugs"]) if result["bugs"] else None,
        )
        for store, result in RECORDED.load().items()
    }


def record(store: str, *, contract: Contract | None = None, bugs: Bugs | None = None) -> None:
    """Replace the recorded results of a store."""
    results = load()
    before = results.get(store, Result())
    results[store] = Result(contract=contract or before.contract, bugs=bugs or before.bugs)
    RECORDED.save({name: asdict(each) for name, each in results.items()})
