"""Measure calls with 10,000, 100,000 and 1,000,000 users, on SQLite and PostgreSQL.

    python -m benchmarks.flat_cost --out benchmarks/results/flat-cost.json

For a quick run: --users 2000 5000 10000 --rounds 1. One worker serves each number of users. The calls are made one
after another over a persistent connection, alternating between the workers. With the most users, a client also walks
over all pages. It needs two cores, PostgreSQL or its URL, and what `make bench` needs.
"""

import argparse
import json
import random
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from typing import Final, TypeAlias

from benchmarks.bench.app import RIVALS_PYTHON
from benchmarks.bench.apps import USERPORT
from benchmarks.bench.cores import leave_worker_core
from benchmarks.bench.environment import machine, versions
from benchmarks.bench.results import write_down
from benchmarks.bench.sample_users import sample_users
from benchmarks.bench.storages import StorageProvider, databases, files
from benchmarks.bench.worker import Worker
from tests.servers.process import free_port

_PAGE: Final = 50
_PAGE_OF_THE_WALK: Final = 100
_PAGES_COMPARED: Final = 20
_START_OF_THE_WALK: Final = f"/users?limit={_PAGE_OF_THE_WALK}"
_MAX_SECONDS: Final = 10.0
_MAX_IDLE_SECONDS: Final = 2.0
_MIN_REQUESTS: Final = 3
_MIN_USERS: Final = _PAGES_COMPARED * _PAGE_OF_THE_WALK

Ids: TypeAlias = Sequence[str]
"""The ids of all users, in order."""

MakePath: TypeAlias = Callable[[Ids, random.Random], str]

PATHS: Final[Mapping[str, MakePath]] = {
    "GET /users/{id}": lambda ids, chance: f"/users/{chance.choice(ids)}",
    "search that finds one": lambda ids, chance: f"/users?search=user.{chance.randrange(len(ids))}%40",
    "search that finds one in six": lambda ids, chance: "/users?search=ann",
    "search that finds everybody": lambda ids, chance: "/users?search=user",
    "the first page": lambda ids, chance: f"/users?limit={_PAGE}",
    "the last page": lambda ids, chance: USERPORT.path_of_page(ids[-_PAGE - 1], len(ids) - _PAGE),
}


@dataclass(frozen=True, slots=True)
class Page:
    ids: Ids
    next_path: str | None
    milliseconds: float


class Client:
    """Sends requests one after another over one connection, and replaces it before the server closes it as idle."""

    def __init__(self, port: int) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=60)
        self._answered = 0.0

    def get(self, path: str) -> tuple[bytes, str, float]:
        """Return the content, the `Link`, and the latency in milliseconds."""
        if time.perf_counter() - self._answered > _MAX_IDLE_SECONDS:
            self._connection.close()
            self._connection.connect()
        begun = time.perf_counter()
        self._connection.request("GET", path)
        response = self._connection.getresponse()
        content = response.read()
        self._answered = time.perf_counter()
        took = 1000 * (self._answered - begun)
        if response.status != 200:
            raise SystemExit(f"{path} is answered with {response.status}: {content!r}")
        return content, response.headers.get("Link", ""), took

    def page(self, path: str) -> Page:
        content, link, took = self.get(path)
        following = re.match(r'<([^>]+)>; rel="next"', link)
        return Page([user["id"] for user in json.loads(content)], following and following[1], took)

    def pages(self, path: str | None) -> Iterator[Page]:
        while path is not None:
            page = self.page(path)
            yield page
            path = page.next_path


@dataclass(frozen=True, slots=True)
class Served:
    """A number of users, and a connection to the worker that serves them."""

    ids: Ids
    client: Client

    def check(self) -> None:
        """Raise `SystemExit` unless it serves and finds the right users."""
        last = self.client.page(PATHS["the last page"](self.ids, random.Random()))
        _expect("the last page", self.ids[-_PAGE:], last.ids)
        _expect("the page behind it", None, last.next_path)
        _expect("a search for everybody", self.ids[:_PAGE], self.client.page("/users?search=user").ids)
        for number in (0, len(self.ids) // 2, len(self.ids) - 1):
            found = self.client.page(f"/users?search=user.{number}%40").ids
            _expect("a search for one", [self.ids[number]], found)


@dataclass(slots=True)
class Walk:
    """A walk over all pages: once completely, then its first and last pages alternately."""

    milliseconds: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    last: list[float] = field(default_factory=list)

    def summary(self) -> dict[str, object]:
        begun, ended = median(self.milliseconds[:_PAGES_COMPARED]), median(self.milliseconds[-_PAGES_COMPARED:])
        return {
            "pages": len(self.milliseconds),
            "seconds": round(sum(self.milliseconds) / 1000, 1),
            "milliseconds_of_the_first_20": round(begun, 3),
            "milliseconds_of_the_last_20": round(ended, 3),
            "last_to_first": round(ended / begun, 2),
            "in_turns": {
                "milliseconds_of_the_first_20": round(median(self.first), 3),
                "milliseconds_of_the_last_20": round(median(self.last), 3),
                "last_to_first": round(median(self.last) / median(self.first), 2),
            },
        }


@dataclass(slots=True)
class Found:
    """The results on one store: the medians of the rounds, by call and by number of users."""

    version: str
    rounds: dict[str, dict[int, list[float]]]
    walk: Walk

    def milliseconds(self, call: str) -> Mapping[int, float]:
        return {users: round(median(took), 3) for users, took in self.rounds[call].items()}

    def summary(self) -> dict[str, object]:
        calls = {}
        for call in self.rounds:
            by_users = self.milliseconds(call)
            calls[call] = {"milliseconds": by_users, "most_to_fewest": round(_most_to_fewest(by_users), 2)}
        return {"version": self.version, "calls": calls, "walk": self.walk.summary()}

    def table(self) -> str:
        numbers = [f"{users:,}" for users in next(iter(self.rounds.values()))]
        head = ["ms per call, of so many users", *numbers]
        lines = [[*head, "most to fewest"]]
        for call in self.rounds:
            by_users = self.milliseconds(call)
            cells = [f"{milliseconds:.2f}" for milliseconds in by_users.values()]
            lines.append([call, *cells, f"{_most_to_fewest(by_users):.2f}×"])
        lines.insert(1, ["---"] * len(lines[0]))
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        return f"## {self.version}\n\n{table}\n\n{json.dumps(self.walk.summary(), indent=2)}\n"


def measure(provider: StorageProvider, users: Sequence[int], rounds: int, requests: int, directory: Path) -> Found:
    everybody = [user.id for user in sample_users(max(users))]
    with ExitStack() as ends:
        served = {
            number: Served(everybody[:number], Client(ends.enter_context(_worker(url, number, directory)).port))
            for number, url in {number: _filled(provider, number) for number in sorted(users)}.items()
        }
        for each in served.values():
            each.check()
        found = Found(provider.version, {call: {number: [] for number in served} for call in PATHS}, Walk())
        most = served[max(served)]
        end = _walk(most, found.walk)
        for number in range(rounds + 1):  # the first round warms up
            print(f"round {number} …", flush=True)
            for call, path in PATHS.items():
                for count, took in _call_in_turns(served, path, requests, random.Random(number)).items():
                    if number:
                        found.rounds[call][count].append(median(took))
            beginning, ending = most.client.pages(_START_OF_THE_WALK), most.client.pages(end)
            for _, first, last in zip(range(_PAGES_COMPARED), beginning, ending, strict=False):
                if number:
                    found.walk.first.append(first.milliseconds)
                    found.walk.last.append(last.milliseconds)
        return found


def _filled(provider: StorageProvider, users: int) -> str:
    print(f"filling in {users:,} users …", flush=True)
    url = provider.new(f"users-{users}")
    USERPORT.fill(url, users)
    provider.settle(url)
    return url


def _worker(url: str, users: int, directory: Path) -> Worker:
    port = free_port()
    return Worker(USERPORT, url, port, directory / f"{users}.log")


def _walk(served: Served, walk: Walk) -> str:
    """Walk to the end, meeting each user once, and return the path of the first of the last pages."""
    print(f"walking past {len(served.ids):,} users …", flush=True)
    met: list[str] = []
    paths = [_START_OF_THE_WALK]
    for page in served.client.pages(paths[0]):
        met += page.ids
        walk.milliseconds.append(page.milliseconds)
        if page.next_path is not None:
            paths.append(page.next_path)
    _expect("a walk to the end", True, met == served.ids)
    return paths[-_PAGES_COMPARED]


def _call_in_turns(
    served: Mapping[int, Served], path: MakePath, requests: int, chance: random.Random
) -> Mapping[int, Sequence[float]]:
    """Call the workers alternately, so that other load on the machine affects all of them."""
    took: dict[int, list[float]] = {count: [] for count in served}
    begun = time.perf_counter()
    for number in range(requests):
        if number >= _MIN_REQUESTS and time.perf_counter() - begun > _MAX_SECONDS:
            break
        for count, each in served.items():
            took[count].append(each.client.get(path(each.ids, chance))[2])
    return took


def _most_to_fewest(by_users: Mapping[int, float]) -> float:
    return by_users[max(by_users)] / by_users[min(by_users)]


def _expect(what: str, expected: object, found: object) -> None:
    if found != expected:
        raise SystemExit(f"{what} is wrong: {found!r} instead of {expected!r}"[:2000])


def main() -> None:
    given = _arguments()
    if not RIVALS_PYTHON.exists():
        raise SystemExit("the rivals' environment is missing: make bench makes it")
    leave_worker_core()
    stores: dict[str, AbstractContextManager[StorageProvider]] = {
        "sqlite": files(given.directory),
        "postgresql": databases(given.postgresql),
    }
    found: dict[str, Found] = {}
    with tempfile.TemporaryDirectory(prefix="userport-flat-", dir=given.directory) as directory:
        # Neither rivals nor wrk take part in this.
        ours = {name: printed for name, printed in versions().items() if name not in {"wrk", "libraries_of_rivals"}}
        environment = {"machine": machine(Path(directory)), "versions": ours}
        for store in given.stores:
            with stores[store] as provider:
                found[store] = measure(provider, given.users, given.rounds, given.requests, Path(directory))
            print(f"\n{found[store].table()}", flush=True)
    settings = {name: getattr(given, name) for name in ("users", "rounds", "requests")}
    results = {**environment, "settings": settings, "stores": {store: on.summary() for store, on in found.items()}}
    write_down(results, given.out)


def _arguments() -> argparse.Namespace:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--out", type=Path, help="where to write the result as JSON")
    arguments.add_argument("--rounds", type=int, default=5, help="medians are of so many (default: 5)")
    arguments.add_argument("--requests", type=int, default=200, help="of each call in a round, at most (default: 200)")
    arguments.add_argument("--users", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    arguments.add_argument("--stores", nargs="+", choices=["sqlite", "postgresql"], default=["sqlite", "postgresql"])
    arguments.add_argument("--postgresql", metavar="URL", help="a server to use instead of starting one")
    arguments.add_argument("--directory", type=Path, help="where SQLite's files are put (default: the temporary one)")
    given = arguments.parse_args()
    if min(given.users) < _MIN_USERS:
        arguments.error(f"--users must be at least {_MIN_USERS}, so that the walk's first pages are not its last")
    return given


if __name__ == "__main__":
    main()
