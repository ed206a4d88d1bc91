"""Kill processes that serve and that work at random moments, while their mail server misbehaves, and count the mails.

    python -m tests.mail --store sqlite --kills 200

Sign-ups go on all the time. At the end, every user in the storage must have been mailed, no one else, and each of
them under one `Message-ID`. Prints JSON; exits with 1 when a mail was lost, or sent without a cause.
"""

import asyncio
import multiprocessing
import os
import random
import signal
import socket
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from email import message_from_bytes
from io import StringIO
from multiprocessing.synchronize import Event
from pathlib import Path
from time import monotonic
from typing import Final

import httpx
from aiosmtpd.smtp import SMTP, Envelope, Session

from application.jobs import runner
from domain.jobs import JOBS, Job
from domain.storage import Storage
from entrypoints.storage_by_url import open_storage
from tests.cli.commands import userport
from tests.mail.smtp_server import Fault, Reaction, SmtpServer, serving

_CLIENTS: Final = 4
_REACTIONS: Final[Sequence[Reaction]] = (Fault.STALL, Fault.DROP, "451 4.3.0 try again later", "554 5.7.1 no thanks")
_WEIGHTS: Final = (1, 4, 6, 1)
_TROUBLE: Final = 0.04
"""The share of commands that meet with one of them."""

_MAX_SECONDS_ALIVE: Final = 4.0
_START_TIMEOUT_SECONDS: Final = 60.0
_KILLED_WHILE_IT_STARTS: Final = 0.1
_SECONDS_TO_FINISH: Final = 120.0
_SECONDS_TO_SETTLE: Final = 1.0
"""Within which of an answer a kill counts as the cause of a second delivery. On a busy machine it may take longer."""

_PROCESSES: Final = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(
    [
        __name__,
        "adapters.mail.smtp",
        "adapters.security.access_tokens",
        "adapters.security.password_hasher",
        "adapters.sql.sqlite.backend",
        "adapters.sql.storage",
        "alembic.command",
        "entrypoints.cli.serve",
        "entrypoints.cli.server",
        "entrypoints.cli.work",
        "entrypoints.cli.worker",
        "entrypoints.http.app",
        "entrypoints.http.protocol",
        "entrypoints.web.account",
    ]
)
"""What would take most of the time in which a process starts."""


@dataclass
class Delivery:
    """A mail whose whole content has arrived."""

    message_id: str
    answered_at: float | None = None
    """When the server accepted it; None if it did not answer."""


@dataclass
class UnreliableServer(SmtpServer):
    """Reacts at random, and records the deliveries by recipient."""

    deliveries: dict[str, list[Delivery]] = field(default_factory=lambda: defaultdict(list))
    is_reliable: bool = False

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        delivery = Delivery(str(message_from_bytes(envelope.content)["Message-ID"]))
        refusal = await self.reaction("DOT", server, delivery=(envelope.rcpt_tos[0], delivery))
        if refusal is not None:
            return refusal
        self.deliveries[envelope.rcpt_tos[0]].append(delivery)
        delivery.answered_at = monotonic()
        return "250 2.0.0 OK"

    async def reaction(self, command: str, server: SMTP, delivery: tuple[str, Delivery] | None = None) -> str | None:
        if not self.is_reliable and random.random() < _TROUBLE:  # noqa: S311 - for variety
            (chosen,) = random.choices(_REACTIONS, _WEIGHTS)  # noqa: S311
            self.react(command, chosen)
            if delivery is not None and isinstance(chosen, Fault):
                self.deliveries[delivery[0]].append(delivery[1])
        return await super().reaction(command, server)


@dataclass
class SignUps:
    """Clients that sign up all the time, some of them with an address that is taken."""

    address: str
    accepted: list[str] = field(default_factory=list)
    rejected: int = 0
    unknown: int = 0
    _number: int = 0

    async def run(self, stop: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as clients:
            for _ in range(_CLIENTS):
                clients.create_task(self._sign_up(stop))

    async def wait_for_another(self, timeout_seconds: float) -> None:
        """Wait until one more is accepted."""
        before = len(self.accepted)
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                while len(self.accepted) == before:  # noqa: ASYNC110 - a test has the time
                    await asyncio.sleep(0.05)

    async def _sign_up(self, stop: asyncio.Event) -> None:
        async with httpx.AsyncClient(base_url=self.address, timeout=10) as client:
            while not stop.is_set():
                await asyncio.sleep(random.uniform(0, 0.1))  # noqa: S311
                self._number += 1
                is_taken = self._number % 10 == 0 and self.accepted
                email = random.choice(self.accepted) if is_taken else f"user{self._number}@example.com"  # noqa: S311
                try:
                    response = await client.post("/users", json={"email": email, "name": "Ann"})
                except httpx.TransportError:
                    self.unknown += 1
                    continue
                if response.status_code == 201:
                    self.accepted.append(email)
                else:
                    self.rejected += 1


class _Announcements(StringIO):
    """Standard error of a process, whose first line says that it is ready."""

    def __init__(self, ready: Event) -> None:
        super().__init__()
        self._ready = ready

    def write(self, text: str) -> int:
        self._ready.set()
        return len(text)


def run_program(ready: Event, *arguments: str) -> None:
    """Run `userport` with shorter leases and pauses; a job is never given up for its number of attempts."""
    sys.stderr = _Announcements(ready)
    Job.LEASE, Job.MAX_ATTEMPTS = timedelta(seconds=6), 10**6
    Job.MIN_RETRY_PAUSE, Job.MAX_RETRY_PAUSE = timedelta(seconds=0.1), timedelta(seconds=1)
    runner._SETTLING_TIME = timedelta(seconds=3)  # type: ignore[misc] # noqa: SLF001 - for shorter leases
    sys.argv = ["userport", *arguments]
    from entrypoints.cli.start import run

    run()


@dataclass
class Processes:
    """Processes of `userport` that are killed at random moments, and replaced."""

    killed: list[float] = field(default_factory=list)

    async def keep_killing(self, command: Sequence[str], sign_ups: SignUps, kills: int, stop: asyncio.Event) -> None:
        """Run a command, and kill it until there were so many kills in all; then let it run until `stop`.

        Most kills come when it has begun its work: a server accepts sign-ups then.
        """
        while len(self.killed) < kills:
            ready = _PROCESSES.Event()
            process = _PROCESSES.Process(target=run_program, args=(ready, *command))
            process.start()
            if random.random() > _KILLED_WHILE_IT_STARTS:  # noqa: S311
                await asyncio.to_thread(ready.wait, _START_TIMEOUT_SECONDS)
                if command[0] == "serve":
                    await sign_ups.wait_for_another(_START_TIMEOUT_SECONDS)
            await asyncio.sleep(random.uniform(0, _MAX_SECONDS_ALIVE))  # noqa: S311
            assert process.pid is not None
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
            killed = monotonic()
            await asyncio.to_thread(process.join)
            if process.exitcode == -signal.SIGKILL:  # otherwise it had ended, because the storage was too busy
                self.killed.append(killed)
        process = _PROCESSES.Process(target=run_program, args=(_PROCESSES.Event(), *command))
        process.start()
        try:
            await stop.wait()
        finally:
            process.terminate()
            await asyncio.to_thread(process.join)


async def crash(url: str, kills: int, seed: int) -> Mapping[str, object]:
    """Return the counts of a run on an empty storage."""
    random.seed(seed)
    storage = open_storage(url)
    await storage.prepare()
    with tempfile.TemporaryDirectory() as directory, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        taken.close()
        key = Path(directory, "key.pem")
        assert userport("keys", "new", "--out", key).exit_code == 0
        async with serving(UnreliableServer()) as server:
            assert isinstance(server, UnreliableServer)
            os.environ.update(
                USERPORT_SIGNING_KEY=str(key), USERPORT_MAIL=f"smtp://127.0.0.1:{server.port}", USERPORT_STORAGE=url
            )
            processes, sign_ups = Processes(), SignUps(f"http://127.0.0.1:{port}")
            end_of_kills, end = asyncio.Event(), asyncio.Event()
            commands = (("serve", "--port", str(port)), ("work",), ("work",))
            running = asyncio.gather(
                sign_ups.run(end_of_kills),
                *(processes.keep_killing(command, sign_ups, kills, end) for command in commands),
            )
            while len(processes.killed) < kills and not running.done():  # noqa: ASYNC110 - there is no event
                await asyncio.sleep(0.1)
            end_of_kills.set()
            server.is_reliable = True
            async with asyncio.timeout(_SECONDS_TO_FINISH):
                while await _waiting(storage):  # noqa: ASYNC110 - as above
                    await asyncio.sleep(0.5)
            end.set()
            await running
        users = set()
        after = None
        while page := await storage.unit_of_work().users.page(after=after, limit=200):
            users |= {user.email.address for user in page}
            after = page[-1].id
        failed = [job for job in await storage.unit_of_work().records(JOBS).page(limit=1_000) if job.failed]
    await storage.close()
    assert all("554" in (job.last_error or "") for job in failed)
    return _counts(sign_ups, users, {job.payload["address"] for job in failed}, server.deliveries, processes.killed)


async def _waiting(storage: Storage) -> bool:
    return any(not job.failed for job in await storage.unit_of_work().records(JOBS).page(limit=1_000))


def _counts(
    sign_ups: SignUps,
    users: set[str],
    refused: set[str],
    deliveries: Mapping[str, Sequence[Delivery]],
    killed: Sequence[float],
) -> Mapping[str, object]:
    repeated = [delivery.answered_at for of_user in deliveries.values() for delivery in of_user[:-1]]
    answered = [moment for moment in repeated if moment is not None]
    return {
        "kills": len(killed),
        "accepted": len(sign_ups.accepted),
        "rejected": sign_ups.rejected,
        "unanswered": sign_ups.unknown,
        "users": len(users),
        "refused_with_554": len(refused),
        "deliveries": sum(map(len, deliveries.values())),
        "lost_users": len(set(sign_ups.accepted) - users),
        "lost_mails": len(users - refused - deliveries.keys()),
        "mails_without_a_user": len(deliveries.keys() - users),
        "several_message_ids": sum(len({each.message_id for each in of_user}) > 1 for of_user in deliveries.values()),
        "repeated_because_unanswered": len(repeated) - len(answered),
        "repeated_because_killed_at_the_answer": sum(_is_near(moment, killed) for moment in answered),
        "repeated_otherwise": sum(not _is_near(moment, killed) for moment in answered),
    }


def _is_near(moment: float, killed: Sequence[float]) -> bool:
    return any(abs(each - moment) <= _SECONDS_TO_SETTLE for each in killed)


FAULTS: Final = ("lost_users", "lost_mails", "mails_without_a_user", "several_message_ids")
