"""Measure GET /users/{id} with and without a cache, on storages near and far.

    python -m benchmarks.cached_reads --seconds 20

Clients read random ones of a few users at a constant rate, and each second one of the users is changed. The storages
are a SQLite file, DynamoDB Local, and PostgreSQL behind a proxy that delays every byte by 5 ms in each direction. The
servers and Redis are started for the measurement.
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from adapters.storage_contract.faulty_proxy import Endpoint
from benchmarks.bench.cores import processor_seconds
from benchmarks.login_flood import Connection
from tests.servers.databases import Databases, server_kind
from tests.servers.process import free_port

USERS: Final = 20
CONNECTIONS: Final = 4
READS_A_SECOND: Final = 200
ONE_WAY_SECONDS: Final = 0.005
USERPORT: Final = (sys.executable, "-m", "entrypoints.cli")


class Figures(NamedTuple):
    storage: str
    is_cached: bool
    p50_milliseconds: float
    p99_milliseconds: float
    store_reads_per_1000: float
    cpu_microseconds: float
    """Of the service, for each GET."""


@contextmanager
def delayed(server: Endpoint) -> Iterator[int]:
    """Forward a local port to a server, with a delay in each direction."""
    loop, tasks = asyncio.new_event_loop(), set[asyncio.Task[None]]()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(2**16):
            loop.call_later(ONE_WAY_SECONDS, writer.write, data)
        loop.call_later(ONE_WAY_SECONDS, writer.close)

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection(*server)
        for task in (forward(reader, server_writer), forward(server_reader, writer)):
            tasks.add(loop.create_task(task))

    listener = loop.run_until_complete(asyncio.start_server(accept, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield listener.sockets[0].getsockname()[1]
    loop.call_soon_threadsafe(loop.stop)
    thread.join()


@contextmanager
def serving(storage: str, cache: str | None, metrics_port: int) -> Iterator[tuple[int, int]]:
    """Serve; yield the port and the process id."""
    settings = {"USERPORT_STORAGE": storage, "USERPORT_METRICS_PORT": str(metrics_port), "USERPORT_JOBS": "false"}
    environment = {**os.environ, **settings, **({"USERPORT_CACHE": cache} if cache else {})}
    subprocess.run([*USERPORT, "storage", "prepare"], env=environment, check=True, stdout=subprocess.DEVNULL)  # noqa: S603
    with subprocess.Popen(  # noqa: S603
        [*USERPORT, "serve", "--port", "0"], env=environment, stderr=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stderr is not None  # noqa: S101 - it is a pipe
            printed = next(line for line in server.stderr if "/docs" in line)
            yield int(printed.split(":")[-1].split("/")[0]), server.pid
        finally:
            server.terminate()


async def measure(name: str, port: int, pid: int, metrics_port: int, seconds: float, *, is_cached: bool) -> Figures:
    connection = await Connection.open(port)
    json_body, paths = {"Content-Type": "application/json"}, []
    for number in range(USERS):
        new = json.dumps({"email": f"user{number}@example.org", "name": "Ann"}).encode()
        paths.append(f"/users/{json.loads((await connection.call('POST', '/users', json_body, new)).content)['id']}")
    await read(port, paths, 1)
    reads, cpu = await store_reads(metrics_port), processor_seconds(pid)
    changing = asyncio.create_task(change(connection, paths))
    took = await read(port, paths, seconds)
    changing.cancel()
    reads, cpu = await store_reads(metrics_port) - reads, processor_seconds(pid) - cpu
    return Figures(
        name,
        is_cached,
        round(1_000 * statistics.median(took), 2),
        round(1_000 * statistics.quantiles(took, n=100)[98], 2),
        round(1_000 * reads / len(took)),
        round(1e6 * cpu / len(took)),
    )


async def read(port: int, paths: Sequence[str], seconds: float) -> list[float]:
    took: list[float] = []

    async def one_reader(number: int) -> None:
        connection, pause = await Connection.open(port), CONNECTIONS / READS_A_SECOND
        due = time.perf_counter() + pause * number / CONNECTIONS
        end = due + seconds
        while due < end:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            answer = await connection.call("GET", random.choice(paths))
            if answer.status != 200:
                raise SystemExit(f"a read was answered with {answer.status}")
            took.append(answer.seconds)
            due += pause

    await asyncio.gather(*(one_reader(number) for number in range(CONNECTIONS)))
    return took


async def change(connection: Connection, paths: Sequence[str]) -> None:
    headers = {"Content-Type": "application/merge-patch+json"}
    while True:
        await asyncio.sleep(1)
        name = json.dumps({"name": f"Name {random.random()}"}).encode()
        answer = await connection.call("PATCH", random.choice(paths), headers, name)
        if answer.status != 200:
            raise SystemExit(f"a change was answered with {answer.status}")


async def store_reads(metrics_port: int) -> float:
    """Return how many users the service has read from the store by id."""
    page = (await (await Connection.open(metrics_port)).call("GET", "/metrics")).content.decode()
    lines = (line for line in page.splitlines() if line.startswith("userport_storage_operations_total"))
    return sum(float(line.split()[-1]) for line in lines if 'operation="users.get"' in line)


@contextmanager
def storages(databases: Databases, directory: Path) -> Iterator[dict[str, tuple[str, str]]]:
    """Yield two empty storages of each kind."""
    postgresql = server_kind("postgresql")
    with (
        databases.fresh("dynamodb") as dynamodb,
        databases.fresh("dynamodb") as another_dynamodb,
        databases.fresh("postgresql") as url,
        databases.fresh("postgresql") as another_url,
        delayed(postgresql.endpoint(url)) as port,
    ):
        yield {
            "SQLite": (f"sqlite:///{directory / 'one.db'}", f"sqlite:///{directory / 'two.db'}"),
            "DynamoDB Local": (dynamodb, another_dynamodb),
            "PostgreSQL, 10 ms away": (postgresql.moved(url, port), postgresql.moved(another_url, port)),
        }


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seconds", type=float, default=20)
    given = arguments.parse_args()
    with (
        tempfile.TemporaryDirectory() as directory,
        Databases() as databases,
        databases.own_server("redis") as redis,
        storages(databases, Path(directory)) as measured,
    ):
        print("| storage | cache | p50 ms | p99 ms | reads of the store for 1,000 GETs | CPU of a GET, µs |")
        print("|---|---|---:|---:|---:|---:|")
        for name, urls in measured.items():
            for url, cache in zip(urls, (None, redis.url), strict=True):
                metrics_port = free_port()
                with serving(url, cache, metrics_port) as (port, pid):
                    run = measure(name, port, pid, metrics_port, given.seconds, is_cached=cache is not None)
                    found = asyncio.run(run)
                figures = (f"{figure:,}" for figure in found[2:])
                print(f"| {name} | {'yes' if found.is_cached else 'no'} | {' | '.join(figures)} |", flush=True)


if __name__ == "__main__":
    main()
