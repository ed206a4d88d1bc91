import argparse
import asyncio
import json
import sys

from tests.mail import crashes
from tests.servers.choice import ALL, Kind
from tests.servers.databases import Databases


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=crashes.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--store", choices=ALL, required=True)
    arguments.add_argument("--kills", type=int, default=200)
    arguments.add_argument("--seed", type=int, default=1)
    given = arguments.parse_args()
    kind: Kind = given.store
    with Databases() as databases, databases.fresh(kind) as url:
        counts = asyncio.run(crashes.crash(url, given.kills, given.seed))
    print(json.dumps({"store": kind, **counts}))  # noqa: T201
    sys.exit(any(counts[fault] for fault in crashes.FAULTS))


if __name__ == "__main__":
    main()
