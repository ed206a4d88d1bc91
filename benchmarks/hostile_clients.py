"""Attack a server; measure its memory and the latency of other clients, with and without the attack.

    python -m benchmarks.hostile_clients --out benchmarks/results/hostile-clients.json

Each attack has its own server, with one worker and a store in memory. Another process sends the attack over some
connections as fast as the server accepts it, and replaces connections that are closed.
"""

import argparse
import asyncio
import http.client
import json
import multiprocessing
import os
import platform
import re
import selectors
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

READS_A_SECOND, READERS = 100, 4
MAX_MEMORY_MB = 2_000
HOST = b"Host: localhost\r\n"
CHUNKED = b"POST /users HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\n"

# What each attacker sends first on a connection, what it then repeats, and the number of attackers.
FLOODS: dict[str, tuple[bytes, bytes, int]] = {
    "pipelined requests, responses unread": (b"", (b"GET / HTTP/1.1\r\n" + HOST + b"\r\n") * 500, 8),
    "shortest pipelined requests": (b"", b"GET / HTTP/1.1\r\n\r\n" * 1_000, 8),
    "trailers": (CHUNKED + b"2\r\n{}\r\n0\r\n", (b"X-Trailer: " + b"x" * 50 + b"\r\n") * 500, 8),
    "one trailer": (CHUNKED + b"2\r\n{}\r\n0\r\nX: ", b"x" * 32_000, 8),
    "chunk extensions": (CHUNKED, b"1;" + b"x" * 8_000 + b"\r\n \r\n", 8),
    "headers": (b"GET / HTTP/1.1\r\n", b"a: b\r\n" * 1_000, 8),
}


def flood(port: int, start: bytes, more: bytes, count: int) -> None:
    """Send for ever without reading."""
    rest: dict[socket.socket, bytes] = {}
    with selectors.DefaultSelector() as selector:

        def connect() -> None:
            with suppress(OSError):
                connection = socket.create_connection(("127.0.0.1", port), timeout=5)
                connection.setblocking(False)
                selector.register(connection, selectors.EVENT_WRITE)
                rest[connection] = start + more

        for _ in range(count):
            connect()
        while True:
            for key, _ in selector.select(0.1):
                connection = key.fileobj
                assert isinstance(connection, socket.socket)  # noqa: S101 - only those are registered
                try:
                    sent = connection.send(rest[connection])
                    rest[connection] = rest[connection][sent:] or more
                except BlockingIOError:
                    continue
                except OSError:
                    selector.unregister(connection)
                    connection.close()
                    del rest[connection]
            if len(rest) < count:
                connect()


@contextmanager
def serving(files: int | None = None) -> Iterator[tuple[subprocess.Popen[str], int, Path]]:
    command = [sys.executable, "-m", "entrypoints.cli", "serve", "--port", "0", "--storage", "memory://"]
    if files is not None:
        command = ["prlimit", f"--nofile={files}:{files}", *command]
    with tempfile.TemporaryDirectory() as directory:
        log = Path(directory, "log")
        with log.open("w") as output, subprocess.Popen(command, stderr=output, text=True) as server:  # noqa: S603
            try:
                while (printed := re.search(r"127\.0\.0\.1:(\d+)", log.read_text())) is None or not answers(
                    int(printed[1])
                ):
                    time.sleep(0.1)
                yield server, int(printed[1]), log
            finally:
                server.kill()


def answers(port: int, timeout: float = 2) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
            connection.sendall(b"GET /health/live HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
            return connection.recv(100).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def memory(pid: int) -> float:
    resident = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert resident is not None  # noqa: S101 - Linux says it of each process
    return int(resident[1]) / 1024


async def read(port: int, seconds: float) -> float:
    """Read at a constant rate; return the 99th percentile of the latency in milliseconds."""
    took: list[float] = []

    async def one_reader(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        pause = READERS / READS_A_SECOND
        due = time.perf_counter() + pause * number / READERS
        end = due + seconds
        while due < end:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            try:
                writer.write(b"GET /users HTTP/1.1\r\n" + HOST + b"\r\n")
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split()[0]))
            except (OSError, EOFError):  # a server may close an idle connection
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                continue
            took.append(1000 * (time.perf_counter() - due))
            due += pause
        writer.close()

    await asyncio.gather(*(one_reader(number) for number in range(READERS)))
    return statistics.quantiles(took, n=100)[98]


async def watch(pid: int, port: int, seconds: float, give_up: Callable[[], None]) -> tuple[float, float]:
    """Read during the attack; return the percentile and the maximum memory, and stop when that is too much."""
    most = 0.0

    async def sample() -> None:
        nonlocal most
        while most < MAX_MEMORY_MB:
            most = max(most, memory(pid))
            await asyncio.sleep(0.05)
        give_up()

    sampler = asyncio.create_task(sample())
    try:
        return await asyncio.wait_for(read(port, seconds), seconds + 30), most
    except TimeoutError:
        return float("inf"), most
    finally:
        sampler.cancel()


def measure_flood(start: bytes, more: bytes, count: int, rounds: int, seconds: float) -> dict[str, object]:
    with serving() as (server, port, log):
        asyncio.run(read(port, 1))
        idle = most = memory(server.pid)
        calm: list[float] = []
        attacked: list[float] = []
        for _ in range(rounds):
            calm.append(asyncio.run(read(port, seconds)))
            attacker = multiprocessing.Process(target=flood, args=(port, start, more, count))
            attacker.start()
            try:
                time.sleep(0.5)
                p99, used = asyncio.run(watch(server.pid, port, seconds, attacker.kill))
            finally:
                attacker.kill()
                attacker.join()
            attacked.append(p99)
            most = max(most, used)
            if used > MAX_MEMORY_MB:
                break
        return {
            "memory_above_idle_mb": round(most - idle, 1),
            "calm_p99_ms": [round(value, 1) for value in calm],
            "attacked_p99_ms": [round(value, 1) for value in attacked],
            "ratio_of_medians": round(statistics.median(attacked) / statistics.median(calm), 2),
            "log_lines": len(log.read_text().splitlines()),
        }


def measure_slow_readers(count: int, seconds: float, *, others_first: bool) -> dict[str, float | str]:
    """Request a page of the largest posts over many connections, without reading it.

    Other clients connect before that, or behind all of them.
    """
    with serving() as (server, port, _log):
        client = http.client.HTTPConnection("127.0.0.1", port)

        def post(path: str, body: Mapping[str, str]) -> str:
            client.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
            return str(json.load(client.getresponse())["id"])

        author = post("/users", {"email": "ann@example.org", "name": "Ann"})
        for _ in range(200):
            post(f"/users/{author}/posts", {"title": "Large", "body": "\U0001f600" * 10_000})
        asyncio.run(read(port, 1))
        idle = memory(server.pid)
        calm = asyncio.run(read(port, seconds))
        with ExitStack() as connections:

            def attack() -> None:
                for _ in range(count):
                    connection = connections.enter_context(socket.create_connection(("127.0.0.1", port)))
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
                    connection.sendall(f"GET /users/{author}/posts?limit=200 HTTP/1.1\r\n".encode() + HOST + b"\r\n")

            async def watch_others() -> tuple[float, float]:
                watching = asyncio.create_task(watch(server.pid, port, seconds, lambda: None))
                await asyncio.sleep(0.5)
                await asyncio.to_thread(attack)
                return await watching

            if others_first:
                attacked, most = asyncio.run(watch_others())
            else:
                attack()
                attacked, most = asyncio.run(watch(server.pid, port, seconds, lambda: None))
        return {
            "memory_above_idle_mb": round(most - idle, 1),
            "calm_p99_ms": round(calm, 2),
            "attacked_p99_ms": round(attacked, 2),
            "ratio": round(attacked / calm, 2),
        }


def measure_idle(count: int, files: int) -> dict[str, object]:
    """Open more connections than files are allowed; return whether other clients still get responses."""
    with serving(files) as (_, port, _log):
        connections = []
        try:
            for _ in range(count):
                with suppress(OSError):
                    connections.append(socket.create_connection(("127.0.0.1", port), timeout=2))
            time.sleep(1)
            answered = sum(answers(port) for _ in range(20))
        finally:
            for connection in connections:
                connection.close()
        time.sleep(1)
        return {"opened": len(connections), "answered_of_20": answered, "answers_afterwards": answers(port)}


def measure_stop(start: bytes) -> dict[str, object]:
    """Stop a server while a client has started a request and does not continue."""
    with serving() as (server, port, log):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.setblocking(False)
            with suppress(BlockingIOError):
                while sent := connection.send(start):
                    if sent < 10_000:
                        break
            time.sleep(0.5)
            begun = time.perf_counter()
            server.send_signal(signal.SIGTERM)
            code = server.wait(60)
            took = time.perf_counter() - begun
        text = log.read_text()
        return {"seconds": round(took, 2), "exit_code": code, "tracebacks": text.count("Traceback")}


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--out", type=Path)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--seconds", type=float, default=5)
    arguments.add_argument("--only", default="")
    given = arguments.parse_args()
    body = b"POST /users HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    attacks: dict[str, Callable[[], Mapping[str, object]]] = {
        **{name: partial(measure_flood, *flood, given.rounds, given.seconds) for name, flood in FLOODS.items()},
        "150 slow readers of 200 large posts": lambda: measure_slow_readers(150, given.seconds, others_first=False),
        "150 slow readers after the others": lambda: measure_slow_readers(150, given.seconds, others_first=True),
        "1,100 idle connections at 1,024 files": lambda: measure_idle(1_100, 1_024),
        "SIGTERM, idle": lambda: measure_stop(b"GET /health/live HTTP/1.1\r\n" + HOST + b"\r\n"),
        "SIGTERM, half a head": lambda: measure_stop(b"GET / HTTP/1.1\r\n"),
        "SIGTERM, half a body": lambda: measure_stop(body),
        "SIGTERM, responses unread": lambda: measure_stop((b"GET /openapi.json HTTP/1.1\r\n" + HOST + b"\r\n") * 1_000),
    }
    found: dict[str, object] = {}
    for name, attack in attacks.items():
        if given.only in name:
            found[name] = attack()
            print(name, found[name], flush=True)
    found |= {"python": platform.python_version(), "cores": os.cpu_count(), "machine": platform.machine()}
    if given.out:
        given.out.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
