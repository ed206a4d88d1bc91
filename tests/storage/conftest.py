from pathlib import Path

from tests.servers.choice import ALL, is_chosen


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Deselect whole suites, such as `test_redis_tls`, instead of skipping each case."""
    kind = collection_path.stem.removeprefix("test_").partition("_")[0]
    return True if kind in {"memory", *ALL} and not is_chosen(kind) else None
