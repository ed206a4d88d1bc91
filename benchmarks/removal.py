"""Measure the removal of a user with many records, and how long concurrent writes wait for it.

    python -m benchmarks.removal --stores sqlite postgresql --records 1000000 --out benchmarks/results/removal.json

Each store is a separate server with its default durability, or a file in --directory. Two writers in this process and
two in another one save their own users, with a pause after each save: first without other load, then from the removal
until everything is deleted. At the end the user is added again, without any old records.
"""

import argparse
import asyncio
import json
import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import islice
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, NamedTuple

from adapters.purging import TASK_NAME
from adapters.storage_contract.examples import a_post, a_user
from adapters.storage_contract.steps import add, remove, save
from benchmarks.bench.environment import machine
from benchmarks.bench.results import write_down
from domain.errors import StaleVersion, StorageUnavailable, TooBusy
from domain.post import POSTS
from domain.storage import Storage
from domain.user import User
from entrypoints.storage_by_url import open_storage
from tests.servers.choice import ALL, Kind
from tests.servers.databases import Databases, server_kind

_WRITERS: Final = 2  # in each process
_PAUSE_SECONDS: Final = 0.01
_SECONDS_ALONE: Final = 30
_RECORDS_IN_A_COMMIT: Final = 1_000
_RECORDS_IN_A_TRANSACTION_OF_DYNAMODB: Final = 30


class Wait(NamedTuple):
    """One save: its start, and its duration including retries after a refusal."""

    begun: float
    seconds: float
    refusals: int


@dataclass(frozen=True, slots=True)
class Waits:
    saves: int
    refusals: int
    p50_milliseconds: float
    p99_milliseconds: float
    longest_milliseconds: float

    @classmethod
    def of(cls, waits: Sequence[Wait]) -> "Waits":
        ordered = sorted(1000 * wait.seconds for wait in waits)
        at = [ordered[int(share * (len(ordered) - 1))] for share in (0.5, 0.99, 1)]
        return cls(len(waits), sum(wait.refusals for wait in waits), *(round(found, 1) for found in at))


@dataclass(frozen=True, slots=True)
class Removal:
    """The results on one store; waits are those of both processes, or of one."""

    version: str
    records: int
    commit_milliseconds: float
    seconds_until_deleted: float
    alone: Waits
    during: Waits
    during_in_this_process: Waits
    during_in_another_process: Waits


async def measure(url: str, version: str, records: int, *, records_in_a_commit: int) -> Removal:
    storage = open_storage(url)
    await storage.prepare()
    doomed, *writers = (a_user() for _ in range(1 + 2 * _WRITERS))
    await add(storage, doomed, *writers)
    print(f"adding {records:,} posts …", flush=True)
    posts = (a_post(doomed, title="A title", body="A few words. " * 8) for _ in range(records))
    while some := list(islice(posts, records_in_a_commit)):
        await add(storage, *some)
    _expect("posts", records, await storage.unit_of_work().records(POSTS).count())
    waits: list[Wait] = []
    ended = asyncio.Event()
    with _another_process(url, writers[_WRITERS:]) as parent:
        await asyncio.to_thread(parent.recv)  # it has begun
        writing = asyncio.gather(*(_write(storage, user, ended.is_set, waits) for user in writers[:_WRITERS]))
        await asyncio.sleep(_SECONDS_ALONE)
        print("removing …", flush=True)
        begun = time.monotonic()
        await remove(storage, doomed)
        committed = time.monotonic()
        await _check_gone(storage, doomed)
        await asyncio.wait([task for task in asyncio.all_tasks() if task.get_name() == TASK_NAME])
        deleted = time.monotonic()
        ended.set()
        await writing
        parent.send(None)
        others: list[Wait] = await asyncio.to_thread(parent.recv)
    await add(storage, doomed)
    _expect("posts of the user who is added again", 0, await storage.unit_of_work().records(POSTS).count())
    await storage.close()
    here, there = ([wait for wait in found if wait.begun + wait.seconds >= begun] for found in (waits, others))
    return Removal(
        version=version,
        records=records,
        commit_milliseconds=round(1000 * (committed - begun), 1),
        seconds_until_deleted=round(deleted - committed, 1),
        alone=Waits.of([wait for wait in (*waits, *others) if wait.begun + wait.seconds < begun]),
        during=Waits.of([*here, *there]),
        during_in_this_process=Waits.of(here),
        during_in_another_process=Waits.of(there),
    )


async def _write(storage: Storage, user: User, is_ended: Callable[[], bool], waits: list[Wait]) -> None:
    """Save the next state of a user repeatedly."""
    while not is_ended():
        user = replace(user, version=user.version + 1)
        begun, refusals = time.monotonic(), 0
        while True:
            try:
                await save(storage, user)
                break
            except TooBusy:
                refusals += 1
            except (StorageUnavailable, StaleVersion):  # of which the latter may follow the former
                refusals += 1
                stored = await storage.unit_of_work().users.get(user.id)
                if stored == user:
                    break
        waits.append(Wait(begun, time.monotonic() - begun, refusals))
        await asyncio.sleep(_PAUSE_SECONDS)


@contextmanager
def _another_process(url: str, users: Sequence[User]) -> Iterator[Connection]:
    """Yield a connection to a process that writes until it receives something, and then sends its waits."""
    ours, theirs = get_context("spawn").Pipe()
    process = get_context("spawn").Process(target=_write_in_process, args=(url, users, theirs), daemon=True)
    process.start()
    try:
        yield ours
    finally:
        process.kill()
        process.join()


def _write_in_process(url: str, users: Sequence[User], parent: Connection) -> None:
    async def write() -> None:
        storage = open_storage(url)
        await storage.ping()
        parent.send(None)
        waits: list[Wait] = []
        await asyncio.gather(*(_write(storage, user, parent.poll, waits) for user in users))
        parent.send(waits)
        await storage.close()

    asyncio.run(write())


async def _check_gone(storage: Storage, user: User) -> None:
    unit = storage.unit_of_work()
    _expect("the removed user", None, await unit.users.get(user.id))
    _expect("the owner of the email", None, await unit.users.find_by_email(user.email))
    _expect("a page of posts", [], list(await unit.records(POSTS).page(limit=1)))
    _expect("posts after the removal", 0, await unit.records(POSTS).count())


def _expect(what: str, expected: object, found: object) -> None:
    if found != expected:
        raise SystemExit(f"{what}: {found!r} instead of {expected!r}")


@contextmanager
def _place(kind: Kind, directory: Path) -> Iterator[tuple[str, str]]:
    """Yield the URL of an empty database, and the version of its server."""
    with Databases() as databases:
        if kind == "sqlite":
            url = f"sqlite:///{directory / 'removal.db'}"
            yield url, databases.version(kind, url)
        else:
            with databases.own_server(kind, durable=True) as server:
                url = server_kind(kind).create(server.url)
                yield url, databases.version(kind, url)


def table(stores: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the results as a table in Markdown."""
    waits = ("alone", "during_in_this_process", "during_in_another_process")
    lines = [
        [
            "store",
            "records",
            "commit ms",
            "deleted after s",
            "p99 ms during",
            "longest wait ms: before",
            "same process",
            "another process",
        ]
    ]
    lines.append(["---", *["---:"] * (len(lines[0]) - 1)])
    for found in stores.values():
        p99 = found["during"]["p99_milliseconds"]
        figures = (found["records"], found["commit_milliseconds"], found["seconds_until_deleted"], p99)
        longest = (found[each]["longest_milliseconds"] for each in waits)
        lines.append([found["version"], *(f"{figure:,.0f}" for figure in (*figures, *longest))])
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def main() -> None:
    given = _arguments()
    results: dict[str, Any] = json.loads(given.out.read_text()) if given.out and given.out.exists() else {"stores": {}}
    with tempfile.TemporaryDirectory(prefix="userport-removal-", dir=given.directory) as directory:
        results |= {"machine": machine(Path(directory)), "python": platform.python_version()}
        for kind in given.stores:
            with _place(kind, Path(directory)) as (url, version):
                at_once = _RECORDS_IN_A_TRANSACTION_OF_DYNAMODB if kind == "dynamodb" else _RECORDS_IN_A_COMMIT
                found = asyncio.run(measure(url, version, given.records, records_in_a_commit=at_once))
            results["stores"][kind] = {"date": time.strftime("%Y-%m-%d", time.gmtime()), **asdict(found)}
            write_down(results, given.out)
            print(json.dumps(results["stores"][kind], indent=2), flush=True)
    print(table(results["stores"]))


def _arguments() -> argparse.Namespace:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--out", type=Path, help="where to write the result as JSON, beside that of other stores")
    arguments.add_argument("--stores", nargs="+", choices=ALL, default=ALL)
    arguments.add_argument("--records", type=int, default=1_000_000)
    arguments.add_argument("--directory", type=Path, help="where SQLite's file is put (default: the temporary one)")
    return arguments.parse_args()


if __name__ == "__main__":
    main()
