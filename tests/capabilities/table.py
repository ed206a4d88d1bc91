"""The table of guarantees and results of each storage, as in the documentation."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from tests.capabilities.results import Result
from tests.recorded_results import markdown_table

_HEADINGS: Final = (
    "storage",
    "server process is killed",
    "power fails",
    "tested with",
    "contract cases passed",
    "planted bugs caught",
)

_POSTGRESQL: Final = ("kept", "kept with `fsync` and `synchronous_commit` on, the default")
_REDIS: Final = (
    "kept with `appendonly yes`; otherwise back to the last snapshot",
    "kept with `appendfsync always`; with `everysec`, up to two seconds are lost",
)
_GUARANTEES: Final = {
    "memory": ("lost", "lost"),
    "sqlite": ("kept", "kept: every commit is synced (WAL, `synchronous=FULL`)"),
    "postgresql": _POSTGRESQL,
    "postgresql_18": _POSTGRESQL,
    "mariadb": ("kept", "kept with `innodb_flush_log_at_trx_commit=1`, the default"),
    "mongodb": ("kept", "kept: in the journals of a majority (`w: majority, j: true`)"),
    "redis": _REDIS,
    "redis_valkey": _REDIS,
    "dynamodb": ("kept", "kept: on disks of several data centres, as AWS promises"),
}
"""How durable a commit is after it has returned, by the name of the contract's tests."""


def stores() -> Sequence[str]:
    return list(_GUARANTEES)


def table(results: Mapping[str, Result]) -> str:
    """Return the table in Markdown."""
    return markdown_table([_HEADINGS, ["---"] * len(_HEADINGS), *_rows(results)])


def _rows(results: Mapping[str, Result]) -> Iterator[Sequence[str]]:
    for store, guarantees in _GUARANTEES.items():
        result = results.get(store, Result())
        contract, bugs = result.contract, result.bugs
        yield (
            f"`{store.partition('_')[0]}`",
            *guarantees,
            contract.server if contract else "not tested",
            f"{contract.passed} of {contract.cases}" if contract else "none",
            f"{bugs.caught} of {bugs.planted}" if bugs else "none planted",
        )
