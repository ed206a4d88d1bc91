"""Random sequences of commits and reads have the same outcomes on every store as in memory.

`make test` runs about 300 steps per store; `make compare-stores` runs 10,000, set by STEPS.
"""

import asyncio
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, ClassVar, Final

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import make_url

from adapters.memory.storage import MemoryStorage
from adapters.storage_contract.examples import a_prefix, a_record, a_user, a_username, an_email, nth_key, nth_user_id
from adapters.storage_contract.samples import CONTRACT_TYPES, SAMPLES
from adapters.storage_contract.steps import read_all
from domain.errors import (
    DomainError,
    EmailTaken,
    IdTaken,
    UsernameTaken,
    UserNotFound,
)
from domain.records import RecordType
from domain.storage import Storage, UnitOfWork
from domain.user import Role, User
from domain.values import Name
from tests.servers.choice import KINDS, Kind
from tests.servers.databases import Databases, server_kind
from tests.storage.database_contract import connected

pytestmark = pytest.mark.slow

STEPS: Final = int(os.environ.get("STEPS", "300"))
SETTINGS: Final = settings(
    max_examples=5,
    stateful_step_count=50,
    deadline=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
NOW: Final = datetime(2031, 1, 1, tzinfo=UTC)

# If a write has several errors, a store may raise any of them.
CONFLICTS: Final = (EmailTaken, UsernameTaken, IdTaken, UserNotFound, *SAMPLES.unique.values())

small: Final = st.integers(0, 5)
TEXTS: Final = ("a", "A", "á", "a ", "b", "😀")


@dataclass(frozen=True)
class Write:
    verb: str
    """`put` adds a missing record, and saves an existing one."""

    type_number: int
    """An index into `CONTRACT_TYPES`; one more for users."""

    key: int
    owner: int
    value: int
    version: int
    """The version written, removed or required; before it is resolved, its distance from the right one."""


OWNERS_AT_RANDOM: Final = 5
USER_NUMBERS: Final = {nth_user_id(number): number for number in range(6)}

VERBS: Final = ("put", "put", "put", "put", "remove", "require", "add", "save")


def random_writes(chance: Random) -> Sequence[Write]:
    """Draw one to three writes with equal probability; a strategy would prefer small examples."""
    return [
        Write(
            verb=chance.choice(VERBS),
            type_number=chance.randint(0, len(CONTRACT_TYPES) + 1),
            key=chance.randint(0, 5),
            owner=chance.randint(0, 5),
            value=chance.randint(0, 5),
            version=chance.choice((0,) * 10 + (1, -1)),
        )
        for _ in range(chance.randint(1, 3))
    ]


class SameAsMemory(RuleBasedStateMachine):
    open_empty: ClassVar[Callable[[], Any]]
    """Returns a context with the URL of an empty storage."""

    steps: ClassVar[int]
    """The number of compared commits and reads in all runs."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.context = type(self).open_empty()
        self.connected = connected(self.context.__enter__())
        self.storage: Storage = self.run(self.connected.__aenter__())
        self.memory = MemoryStorage(CONTRACT_TYPES)

    def run(self, work: Any) -> Any:
        return self.runner.run(work)

    def teardown(self) -> None:
        self.run(self.connected.__aexit__(None, None, None))
        self.runner.close()
        self.context.__exit__(None, None, None)

    @initialize(users=st.lists(small, max_size=4, unique=True))
    def add_users(self, users: Sequence[int]) -> None:
        for number in users:
            self.apply([Write("add", len(CONTRACT_TYPES), number, 0, number, 0)])

    @rule(chance=st.randoms(use_true_random=True))
    def commit(self, chance: Random) -> None:
        self.apply(random_writes(chance))

    def apply(self, batch: Sequence[Write]) -> None:
        type(self).steps += 1
        resolved = self.run(self.resolved(batch))
        expected, found = (self.run(self.outcome(storage, resolved)) for storage in (self.memory, self.storage))
        assert found == expected or (found in CONFLICTS and expected in CONFLICTS), resolved

    @rule(
        record_type=st.sampled_from(CONTRACT_TYPES),
        owner=st.none() | small,
        after=st.none() | small,
        limit=st.integers(0, 4),
        descending=st.booleans(),
        skip=st.integers(0, 2),
    )
    def page(
        self,
        record_type: RecordType[Any],
        owner: int | None,
        after: int | None,
        limit: int,
        descending: bool,
        skip: int,
    ) -> None:
        options: dict[str, Any] = {"limit": limit, "descending": descending, "skip": skip}
        options["owner"] = None if owner is None or record_type.owner is None else nth_user_id(owner)
        options["after"] = None if after is None else key_of(record_type, after, after)

        async def read(storage: Storage) -> object:
            records = storage.unit_of_work().records(record_type)
            return list(await records.page(**options)), await records.count(owner=options["owner"])

        self.compare(read)

    @rule(
        record_type=st.sampled_from([record_type for record_type in CONTRACT_TYPES if record_type.due]),
        days=small,
        limit=st.integers(0, 4),
    )
    def due(self, record_type: RecordType[Any], days: int, limit: int) -> None:
        async def read(storage: Storage) -> object:
            return list(await storage.unit_of_work().records(record_type).due(NOW + timedelta(days=days), limit=limit))

        self.compare(read)

    @rule(text=st.sampled_from(TEXTS), key=small)
    def find(self, text: str, key: int) -> None:
        async def read(storage: Storage) -> object:
            unit = storage.unit_of_work()
            samples = unit.records(SAMPLES)
            return (
                await samples.find("label", text),
                await samples.find("serial", f"{text}{key % 3}"),
                await samples.get(nth_key(SAMPLES, key)),
                await unit.users.find_by_email(an_email(f"{text}{key % 2}@example.org")),
                await unit.users.find_by_username(a_username(text)),
                await unit.users.get(nth_user_id(key)),
                list(await unit.users.search(a_prefix(text), limit=10)),
                await unit.users.count(),
                list(await unit.users.active_admins(limit=2)),
            )

        self.compare(read)

    @invariant()
    def holds_the_same(self) -> None:
        assert self.run(read_all(self.storage)) == self.run(read_all(self.memory))

    def compare(self, read: Callable[[Storage], Any]) -> None:
        type(self).steps += 1
        assert self.run(read(self.storage)) == self.run(read(self.memory))

    async def resolved(self, batch: Sequence[Write]) -> list[Write]:
        """Return the writes with the version and owner that they have after the previous writes."""
        unit = self.memory.unit_of_work()
        users = [user.id for user in await unit.users.page(limit=10)]
        states: dict[tuple[str, str], tuple[int | None, int]] = {}
        resolved = []
        for write in batch:
            record_type = type_of(write)
            owner = write.owner
            if users and owner < OWNERS_AT_RANDOM:  # mostly an existing user
                owner = USER_NUMBERS[users[owner % len(users)]]
            key = nth_user_id(write.key) if record_type is None else key_of(record_type, write.key, owner)
            place = (record_type.name if record_type else "", key)
            if place not in states:
                repository: Any = unit.records(record_type) if record_type else unit.users
                there = await repository.get(key)
                of = record_type.owner_of(there) if record_type and there else None
                states[place] = (there.version if there else None, USER_NUMBERS[of] if of else owner)
            stored, owner_there = states[place]
            owner = owner if stored is None else owner_there  # an owner never changes
            verb = ("add" if stored is None else "save") if write.verb == "put" else write.verb
            version = {"add": 1, "save": (stored or 0) + 1}.get(verb, stored or 0) + write.version
            states[place] = ({"add": version, "save": version, "remove": None}.get(verb, stored), owner)
            resolved.append(replace(write, verb=verb, owner=owner, version=version))
        return resolved

    @staticmethod
    async def outcome(storage: Storage, batch: Sequence[Write]) -> type[DomainError] | None:
        unit = storage.unit_of_work()
        try:
            for write in batch:
                stage(unit, write)
            await unit.commit()
        except DomainError as error:
            return type(error)
        return None


def type_of(write: Write) -> RecordType[Any] | None:
    return CONTRACT_TYPES[write.type_number] if write.type_number < len(CONTRACT_TYPES) else None


def key_of(record_type: RecordType[Any], key: int, owner: int) -> str:
    return nth_user_id(owner) if record_type.key == record_type.owner else nth_key(record_type, key)


def stage(unit: UnitOfWork, write: Write) -> None:
    record_type = type_of(write)
    owner = a_user(id=nth_user_id(write.owner))
    if record_type is None:
        repository: Any = unit.users
        record: Any = the_user(write)
    else:
        repository = unit.records(record_type)
        record = the_record(record_type, owner, write)
    getattr(repository, write.verb)(record)


def the_user(write: Write) -> User:
    text = TEXTS[write.value]
    return User(
        id=nth_user_id(write.key),
        email=an_email(f"{text}{write.key % 2}@example.org"),
        name=Name(text),
        username=a_username(text) if write.value % 3 else None,
        bio=None,
        role=Role.ADMIN if write.value % 2 else Role.MEMBER,
        active=write.owner % 3 > 0,
        email_verified=write.value % 2 > 0,
        version=write.version,
        created_at=NOW,
        updated_at=NOW,
    )


def the_record(record_type: RecordType[Any], owner: User, write: Write) -> Any:
    """Return the record of a write; equal writes have equal records."""
    values: dict[str, Any] = {"version": write.version}
    if record_type.due:
        values[record_type.due] = NOW + timedelta(days=write.value)
    if record_type is SAMPLES:
        text = TEXTS[write.value]
        values |= {"label": text if write.value % 2 else None, "serial": f"{text}{write.key % 3}", "text": text * 3}
        values["due_at"] = values["due_at"] if write.key % 2 else None
    template = _TEMPLATES.setdefault((record_type.name, write.value), a_record(record_type, owner))
    values[record_type.key] = type(getattr(template, record_type.key))(key_of(record_type, write.key, write.owner))
    if record_type.owner:
        values[record_type.owner] = owner.id
    return replace(template, **values)


_TEMPLATES: Final[dict[tuple[str, int], Any]] = {}


@pytest.mark.parametrize("kind", KINDS)
def test_a_store_does_what_memory_does(databases: Databases, kind: Kind) -> None:
    with databases.fresh(kind) as prepared:
        asyncio.run(prepare(prepared))

        @contextmanager
        def open_empty() -> Iterator[str]:
            if kind == "sqlite":
                with databases.fresh(kind) as url:
                    shutil.copy(str(make_url(prepared).database), str(make_url(url).database))
                    yield url
            else:
                yield prepared
                server_kind(kind).empty(prepared)

        class StorageStateMachine(SameAsMemory):
            steps = 0

        StorageStateMachine.open_empty = staticmethod(open_empty)
        while StorageStateMachine.steps < STEPS:
            run_state_machine_as_test(StorageStateMachine, settings=SETTINGS)


async def prepare(url: str) -> None:
    async with connected(url) as storage:
        await storage.prepare()
