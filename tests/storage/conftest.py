from pathlib import Path

import pytest

from domain.record_types import RECORD_TYPES
from tests.servers.choice import ALL, is_chosen


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Deselect whole suites, such as `test_redis_tls`, instead of skipping each case."""
    kind = collection_path.stem.removeprefix("test_").partition("_")[0]
    return True if kind in {"memory", *ALL} and not is_chosen(kind) else None


@pytest.hookimpl(tryfirst=True)  # before markers decide what runs
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave cases of the contract to slower runs.

    All but the `quick_groups` of a class, where it names some, are for `make test-clusters`. Outside of memory, cases
    for userport's own record types are for `make test`: the contract's own type has all that they have.
    """
    for item in items:
        if not isinstance(item, pytest.Function):
            continue
        groups = getattr(item.cls, "quick_groups", None)
        if groups is not None and not any(item.originalname in vars(group) for group in groups):
            item.add_marker(pytest.mark.cluster)
        record_type = item.callspec.params.get("record_type") if hasattr(item, "callspec") else None
        if record_type in RECORD_TYPES and hasattr(item.cls, "kind"):
            item.add_marker(pytest.mark.slow)
