"""Kill processes that serve and that work at random moments, while their mail server misbehaves, and count the mails.

    python -m tests.mail --store sqlite --kills 200

Sign-ups go on all the time. At the end, every user in the storage must have been mailed, no one else, and each of
them under one `Message-ID`. The processes keep a journal, which says why a mail that the server had accepted was sent
again. Prints JSON; exits with 1 when a mail was lost, sent without a cause, or repeated without an explanation.
"""

import asyncio
import multiprocessing
import os
import random
import signal
import socket
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from email import message_from_bytes
from enum import StrEnum, auto
from io import StringIO
from multiprocessing.context import ForkServerProcess
from multiprocessing.synchronize import Event
from pathlib import Path
from time import monotonic
from typing import Final

import httpx
from aiosmtpd.smtp import SMTP, Envelope, Session
from dependency_injector.providers import Singleton

from adapters.mail import smtp_connection
from application.jobs import runner
from application.jobs.runner import JobRunner, Outcome
from application.mail.message import Mail
from domain.jobs import JOBS, Job
from domain.storage import Storage
from entrypoints.container import Container
from entrypoints.mail_sender import open_mail_sender
from entrypoints.settings import Settings
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
_LOOK_SECONDS: Final = 0.05

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
    process: int
    answered_at: float | None = None
    """When the server accepted it; None if it did not answer."""


@dataclass
class UnreliableServer(SmtpServer):
    """Reacts at random, and records the deliveries by recipient."""

    deliveries: dict[str, list[Delivery]] = field(default_factory=lambda: defaultdict(list))
    is_reliable: bool = False

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        assert session.host_name is not None
        message_id = str(message_from_bytes(envelope.content)["Message-ID"])
        delivery = Delivery(message_id, process=int(session.host_name.partition(".")[0]))
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

    async def wait_for_another(self) -> None:
        """Wait until one more is accepted."""
        before = len(self.accepted)
        while len(self.accepted) == before:  # noqa: ASYNC110 - a test has the time
            await asyncio.sleep(_LOOK_SECONDS)

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
    """Standard error of a process, whose first line says that it is ready, or why it is not."""

    def __init__(self, ready: Event) -> None:
        super().__init__()
        self._ready = ready

    def write(self, text: str) -> int:
        self._ready.set()
        if text.startswith("userport: ") and sys.__stderr__ is not None:
            sys.__stderr__.write(text)
        return len(text)


class Step(StrEnum):
    """What a process notes in the journal about a mail, before and after."""

    SENDING = auto()
    SENT = auto()
    """The server's answer has been read."""
    INTERRUPTED = auto()
    """No answer has been read, or one other than 250."""
    REMOVED = auto()
    """The job has been removed from the storage."""
    LEASE_ENDED = auto()
    """Another worker had claimed the job in the meantime."""


@dataclass(frozen=True, slots=True)
class Entry:
    step: Step
    message_id: str
    moment: float
    """On the monotonic clock, which all processes share."""
    process: int


class Journal:
    """A file that several processes append to. What a killed process has written stays."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("ab", buffering=0)

    def note(self, step: Step, message_id: str) -> None:
        self._file.write(f"{step} {message_id} {monotonic()} {os.getpid()}\n".encode())

    def entries(self) -> Mapping[str, Sequence[Entry]]:
        """Return the entries by message id, in the order in which they were written."""
        found = defaultdict(list)
        for line in self._path.read_text().splitlines():
            step, message_id, moment, process = line.split()
            found[message_id].append(Entry(Step(step), message_id, float(moment), int(process)))
        return found


class _JournalingSender:
    journal: Journal

    def __init__(self, settings: Settings) -> None:
        self._sender = open_mail_sender(settings)

    async def send(self, mail: Mail) -> str:
        self.journal.note(Step.SENDING, mail.message_id)
        step = Step.INTERRUPTED
        try:
            answer = await self._sender.send(mail)
            step = Step.SENT
        finally:
            self.journal.note(step, mail.message_id)
        return answer

    async def close(self) -> None:
        await self._sender.close()


class _JournalingRunner(JobRunner):
    journal: Journal

    async def settle(self, outcomes: Sequence[Outcome]) -> None:
        await super().settle(outcomes)
        for job, following in outcomes:
            if following is None:
                stored = await self._storage.unit_of_work().records(JOBS).get(job.id)
                self.journal.note(Step.REMOVED if stored is None else Step.LEASE_ENDED, job.id)


def run_program(ready: Event, journal: Path, *arguments: str) -> None:
    """Run `userport` with shorter leases and pauses; a job is never given up for its number of attempts."""
    sys.stderr = _Announcements(ready)
    Job.LEASE, Job.MAX_ATTEMPTS = timedelta(seconds=6), 10**6
    Job.MIN_RETRY_PAUSE, Job.MAX_RETRY_PAUSE = timedelta(seconds=0.1), timedelta(seconds=1)
    runner._SETTLING_TIME = timedelta(seconds=3)  # type: ignore[misc] # noqa: SLF001 - for shorter leases
    _JournalingSender.journal = _JournalingRunner.journal = Journal(journal)
    Container.mail_sender.override(Singleton(_JournalingSender, Container.settings))
    Container.job_runner.override(
        Singleton(_JournalingRunner, Container.storage, Container.clock, Container.job_handlers)
    )
    smtp_connection._own_name = lambda: f"{os.getpid()}.example.com"  # noqa: SLF001 - the server asks who delivers
    sys.argv = ["userport", *arguments]
    from entrypoints.cli.start import run

    run()


@dataclass
class Processes:
    """Processes of `userport` that are killed at random moments, and replaced, until there were enough kills in all."""

    kills: int
    journal: Path
    killed: dict[int, float] = field(default_factory=dict)
    """The moment of each kill, by the process."""
    all_killed: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, command: Sequence[str], sign_ups: SignUps, stop: asyncio.Event) -> None:
        """Run a command, and kill it as often as it takes; then let it run until `stop`."""
        while True:
            ready = _PROCESSES.Event()  # kept until the process has opened it: its owner removes it
            process = _PROCESSES.Process(target=run_program, args=(ready, self.journal, *command))
            process.start()
            await self._wait(ready, sign_ups if command[0] == "serve" else None)
            if self.all_killed.is_set():
                break
            await self._kill(process)
        try:
            await stop.wait()
        finally:
            process.terminate()
            await asyncio.to_thread(process.join)

    async def _wait(self, ready: Event, sign_ups: SignUps | None) -> None:
        """Wait for a random moment, or the end of all kills.

        Most moments come when a process has begun its work: a server accepts sign-ups then.
        """

        async def begin() -> None:
            while not ready.is_set():  # noqa: ASYNC110 - it is set by another process
                await asyncio.sleep(_LOOK_SECONDS)
            if sign_ups is not None:
                await sign_ups.wait_for_another()

        async def wait() -> None:
            with suppress(TimeoutError):
                if random.random() > _KILLED_WHILE_IT_STARTS:  # noqa: S311
                    await asyncio.wait_for(begin(), _START_TIMEOUT_SECONDS)
            await asyncio.sleep(random.uniform(0, _MAX_SECONDS_ALIVE))  # noqa: S311

        tasks = [asyncio.create_task(wait()), asyncio.create_task(self.all_killed.wait())]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()

    async def _kill(self, process: ForkServerProcess) -> None:
        assert process.pid is not None
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
        moment = monotonic()
        await asyncio.to_thread(process.join)
        if process.exitcode == -signal.SIGKILL:  # otherwise it had ended, because the storage was too busy
            self.killed[process.pid] = moment
            if len(self.killed) >= self.kills:
                self.all_killed.set()


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
            processes = Processes(kills, Path(directory, "journal"))
            sign_ups = SignUps(f"http://127.0.0.1:{port}")
            end = asyncio.Event()
            commands = (("serve", "--port", str(port)), ("work",), ("work",))
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(sign_ups.run(processes.all_killed))
                for command in commands:
                    tasks.create_task(processes.run(command, sign_ups, end))
                await processes.all_killed.wait()
                server.is_reliable = True
                async with asyncio.timeout(_SECONDS_TO_FINISH):
                    while await _waiting(storage):  # noqa: ASYNC110 - there is no event
                        await asyncio.sleep(0.5)
                end.set()
        users: dict[str, str] = {}
        after = None
        while page := await storage.unit_of_work().users.page(after=after, limit=200):
            users |= {user.id: user.email.address for user in page}
            after = page[-1].id
        failed = [job for job in await storage.unit_of_work().records(JOBS).page(limit=1_000) if job.failed]
        repeats = _explain_repeats(server.deliveries, Journal(processes.journal).entries(), processes.killed)
    await storage.close()
    assert all("554" in (job.last_error or "") for job in failed)
    return {
        "kills": len(processes.killed),
        **_counts(sign_ups, {*users.values()}, {users[job.payload["user_id"]] for job in failed}, server.deliveries),
        **{f"repeated_{why}": repeats[why] for why in Repeat},
    }


async def _waiting(storage: Storage) -> bool:
    return any(not job.failed for job in await storage.unit_of_work().records(JOBS).page(limit=1_000))


def _counts(
    sign_ups: SignUps, users: set[str], refused: set[str], deliveries: Mapping[str, Sequence[Delivery]]
) -> Mapping[str, int]:
    return {
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
    }


class Repeat(StrEnum):
    """Why a mail whose content had arrived was sent again."""

    UNANSWERED = "because_unanswered"
    """The server had not answered."""
    KILLED = "because_killed_before_removal"
    """Its process was killed after the answer, before the job was removed."""
    UNREAD = "because_answer_came_too_late"
    """Its process had given up waiting for the answer."""
    LEASE_ENDED = "because_lease_ended"
    """Its process took so long to remove the job that another one had claimed it."""
    UNEXPLAINED = "without_explanation"


def _explain_repeats(
    deliveries: Mapping[str, Sequence[Delivery]], journal: Mapping[str, Sequence[Entry]], killed: Mapping[int, float]
) -> Mapping[Repeat, int]:
    return Counter(
        _explain(delivery, journal[delivery.message_id.strip("<>").partition("@")[0]], killed)
        for of_user in deliveries.values()
        for delivery in of_user[:-1]
    )


def _explain(delivery: Delivery, entries: Sequence[Entry], killed: Mapping[int, float]) -> Repeat:
    if delivery.answered_at is None:
        return Repeat.UNANSWERED
    of_process = [each for each in entries if each.process == delivery.process]
    begun = max(each.moment for each in of_process if each.step is Step.SENDING and each.moment < delivery.answered_at)
    later = [each for each in of_process if each.moment > begun]
    match [each.step for each in later[:2]]:
        case [] | [Step.SENT] if delivery.process in killed:
            return Repeat.KILLED
        case [Step.INTERRUPTED, *_]:
            return Repeat.UNREAD
        case [Step.SENT, Step.LEASE_ENDED]:
            return Repeat.LEASE_ENDED
    return Repeat.UNEXPLAINED


FAULTS: Final = (
    "lost_users",
    "lost_mails",
    "mails_without_a_user",
    "several_message_ids",
    f"repeated_{Repeat.UNEXPLAINED}",
)
