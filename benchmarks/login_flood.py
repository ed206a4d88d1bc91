"""Measure the latency of GET /users/{id} with and without a flood of sign-ins.

    python -m benchmarks.login_flood --storage sqlite:////tmp/flood.db --out benchmarks/results/login-flood.json

The storage is prepared and given a few users, and should be empty. The service runs with one worker and without limits.
The sign-ins are valid, because their cost is the verification of the password.
"""

import argparse
import asyncio
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from urllib.parse import urlencode

PASSWORD = "correct horse battery"  # noqa: S105 - test data
READERS, READS_A_SECOND = 4, 200
FLOODERS = 32
USERS = 200


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    content: bytes
    seconds: float


class Connection:
    """A persistent connection, as of a client that calls often."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int) -> "Connection":
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def call(self, method: str, path: str, headers: dict[str, str] | None = None, content: bytes = b"") -> Answer:
        given = {"Host": "127.0.0.1", "Content-Length": str(len(content)), **(headers or {})}
        head = "".join(f"{name}: {value}\r\n" for name, value in given.items())
        begun = time.perf_counter()
        self._writer.write(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + content)
        status_line, *lines = (await self._reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
        length = next(int(line[15:]) for line in lines if line.lower().startswith(b"content-length:"))
        answer = await self._reader.readexactly(length)
        return Answer(int(status_line.split()[1]), answer, time.perf_counter() - begun)

    async def sign_in(self, number: int) -> Answer:
        form = {"grant_type": "password", "username": f"user{number}@example.org", "password": PASSWORD}
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return await self.call("POST", "/auth/token", headers, urlencode(form).encode())


async def read(port: int, seconds: float, headers: dict[str, str]) -> list[float]:
    """Read the caller's own user at a constant rate; return the latency of each response."""
    took: list[float] = []

    async def one_reader(number: int) -> None:
        connection = await Connection.open(port)
        pause = READERS / READS_A_SECOND
        due = time.perf_counter() + pause * number / READERS
        end = due + seconds
        while due < end:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            answer = await connection.call("GET", "/users/me", headers)
            if answer.status != 200:
                raise SystemExit(f"a read was answered with {answer.status}")
            took.append(time.perf_counter() - due)  # one slow response also delays those behind it
            due += pause

    await asyncio.gather(*(one_reader(number) for number in range(READERS)))
    return took


@asynccontextmanager
async def flood(port: int) -> AsyncIterator[list[int]]:
    """Sign in over many connections, one after another on each, until the end."""
    statuses: list[int] = []

    async def one_flooder(number: int) -> None:
        connection = await Connection.open(port)
        for turn in count():
            answer = await connection.sign_in((number + turn * FLOODERS) % USERS)
            statuses.append(answer.status)

    flooders = [asyncio.create_task(one_flooder(number)) for number in range(FLOODERS)]
    await asyncio.sleep(1)
    yield statuses
    for flooder in flooders:
        flooder.cancel()
    await asyncio.gather(*flooders, return_exceptions=True)


async def measure(port: int, rounds: int, seconds: float) -> dict[str, object]:
    connection = await Connection.open(port)
    for number in range(USERS + 1):  # the last user only reads
        new = {"email": f"user{number}@example.org", "name": "Ann", "password": PASSWORD}
        await connection.call("POST", "/users", {"Content-Type": "application/json"}, json.dumps(new).encode())
    token = json.loads((await connection.sign_in(USERS)).content)["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    await read(port, 1, headers)
    calm: list[float] = []
    flooded: list[float] = []
    signed_in: list[float] = []
    for _ in range(rounds):
        calm.append(p99(await read(port, seconds, headers)))
        async with flood(port) as statuses:
            before = statuses.count(200)
            flooded.append(p99(await read(port, seconds, headers)))
            signed_in.append((statuses.count(200) - before) / seconds)
    return {
        "calm_p99_ms": [round(1000 * value, 2) for value in calm],
        "flooded_p99_ms": [round(1000 * value, 2) for value in flooded],
        "ratio_of_medians": round(statistics.median(flooded) / statistics.median(calm), 2),
        "sign_ins_per_second": round(statistics.median(signed_in), 1),
        "reads_per_second": READS_A_SECOND,
        "connections_that_sign_in": FLOODERS,
        "rounds": rounds,
        "seconds": seconds,
    }


def p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100)[98]


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--storage", required=True)
    arguments.add_argument("--out", type=Path)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--seconds", type=float, default=10)
    given = arguments.parse_args()
    userport = [sys.executable, "-m", "entrypoints.cli"]
    with tempfile.TemporaryDirectory() as directory:
        key = Path(directory, "key.pem")
        settings = {
            "USERPORT_STORAGE": given.storage,
            "USERPORT_SIGNING_KEY": str(key),
            "USERPORT_SIGN_IN_FAILURES_PER_ACCOUNT": "0",
            "USERPORT_SIGN_IN_FAILURES_PER_ADDRESS": "0",
        }
        environment = {**os.environ, **settings}
        for command in (["keys", "new", "--out", str(key)], ["storage", "prepare"]):
            subprocess.run([*userport, *command], env=environment, check=True)  # noqa: S603 - our own program
        serve = [*userport, "serve", "--port", "0"]
        with subprocess.Popen(serve, env=environment, stderr=subprocess.PIPE, text=True) as server:  # noqa: S603
            try:
                assert server.stderr is not None  # noqa: S101 - it is a pipe
                printed = next(line for line in server.stderr if "http://" in line)
                found = asyncio.run(measure(int(printed.split(":")[-1].split("/")[0]), given.rounds, given.seconds))
            finally:
                server.terminate()
    found |= {
        "storage": given.storage.partition(":")[0],
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "machine": platform.machine(),
    }
    print(json.dumps(found, indent=2))
    if given.out:
        given.out.parent.mkdir(exist_ok=True)
        given.out.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
