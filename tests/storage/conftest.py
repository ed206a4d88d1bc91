from pathlib import Path

from tests.servers.choice import KINDS, is_chosen


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out whole suites instead of skipping them case by case, which would fill the summary."""
    kind = collection_path.stem.removeprefix("test_")
    return True if kind in {"memory", *KINDS} and not is_chosen(kind) else None
