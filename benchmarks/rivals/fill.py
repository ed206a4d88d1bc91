"""Create a rival's tables in an empty database and add the sample users.

benchmarks/.venv/bin/python -m benchmarks.rivals.fill --app tutorial --storage sqlite:////tmp/tutorial.db --users 100000
"""

import argparse
from importlib import import_module
from itertools import islice
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Table, create_engine, insert

from benchmarks.bench.sample_users import SampleUser, sample_users
from benchmarks.rivals.addresses import sync_url

_MODELS: Final = {"tutorial": "model", "by_hand": "model", "litestar_alchemy": "litestar_model"}
_IN_A_COMMIT: Final = 5_000


def fill(table: Table, url: str, users: int) -> None:
    engine = create_engine(sync_url(url))
    table.metadata.create_all(engine, tables=[table])
    made = sample_users(users)
    while rows := [_row(user) for user in islice(made, _IN_A_COMMIT)]:
        with engine.begin() as connection:
            connection.execute(insert(table), rows)
    engine.dispose()


def _row(user: SampleUser) -> dict[str, Any]:
    row = user._asdict()
    made = row.pop("made")
    return row | {"id": UUID(user.id), "created_at": made, "updated_at": made}


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description="Fill a rival's place.")
    arguments.add_argument("--app", choices=_MODELS, required=True)
    arguments.add_argument("--storage", required=True)
    arguments.add_argument("--users", type=int, required=True)
    given = arguments.parse_args()
    fill(import_module(f"benchmarks.rivals.{_MODELS[given.app]}").User.__table__, given.storage, given.users)
