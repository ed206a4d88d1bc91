"""Units of work with any content have the same effect as in memory, where each write is applied on its own."""

import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeAlias

import pytest

from adapters.memory.storage import MemoryStorage
from adapters.storage_contract.examples import (
    LATER,
    a_prefix,
    a_record,
    a_user,
    a_username,
    an_email,
    at_version,
    nth_key,
    nth_user_id,
)
from adapters.storage_contract.samples import CONTRACT_TYPES, SAMPLES
from adapters.storage_contract.steps import read_all, stage_add, stage_remove, stage_require, stage_save
from domain.credential import CREDENTIALS
from domain.errors import DomainError
from domain.records import RecordType
from domain.sign_in_failures import SIGN_IN_FAILURES
from domain.storage import Storage, UnitOfWork
from domain.user import Role, User
from domain.values import UserId
from tests.servers.databases import Databases
from tests.storage.database_contract import connected

Write: TypeAlias = tuple[Callable[..., None], Any]

UNITS = 150
FEW = range(5)
TYPES: Sequence[RecordType[Any]] = (SAMPLES, CREDENTIALS, SIGN_IN_FAILURES)
"""With an owner, with a key that is the owner, and without an owner."""

EMAILS = ["ann", "ben", *(f"email {number}" for number in range(10))]
MOMENTS = [LATER - timedelta(minutes=number) for number in FEW]


@pytest.fixture
async def storage(databases: Databases) -> AsyncIterator[Storage]:
    with databases.fresh("redis") as url:
        async with connected(url) as storage:
            await storage.prepare()
            yield storage


@pytest.mark.parametrize("seed", range(3))
async def test_random_units_of_work_come_out_as_in_memory(storage: Storage, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - nothing is to be kept secret
    memory = MemoryStorage(CONTRACT_TYPES)
    outcomes = []
    for _ in range(UNITS):
        units = memory.unit_of_work(), storage.unit_of_work()
        await _stage(chance, *units)
        expected, outcome = [await _outcome(unit) for unit in units]
        assert outcome == expected
        assert await _seen_in(storage) == await _seen_in(memory)
        outcomes.append(outcome)
    assert outcomes.count(None) > UNITS / 5
    assert len(set(outcomes)) > 5, "success and most of the seven errors, or else it is not much of a test"


async def _stage(chance: random.Random, *units: UnitOfWork) -> None:
    """Stage the same writes in all units; most of them are valid after the writes before them."""
    users = {user.id: user for user in await units[0].users.page(limit=100)}
    records = {
        record_type: {
            record_type.key_of(record): record for record in await units[0].records(record_type).page(limit=100)
        }
        for record_type in TYPES
    }
    for _ in range(chance.randint(1, 5)):
        if chance.random() < 0.3:
            user = _some_user(chance, nth_user_id(chance.choice(FEW)))
            stage, record = _write(chance, users, user.id, user)
        else:
            record_type = chance.choice(TYPES)
            some = _some_record(chance, record_type, records[record_type], list(users) or [nth_user_id(0)])
            stage, record = _write(chance, records[record_type], record_type.key_of(some), some)
        for unit in units:
            stage(unit, record)


def _write(chance: random.Random, known: dict[Any, Any], key: str, record: Any) -> Write:
    old = known.get(key)
    if chance.random() < 0.05:
        return chance.choice([stage_add, stage_save]), record  # regardless of the stored record
    if chance.random() < 0.1:
        return stage_require, old or record
    if old is None:
        known[key] = record
        return stage_add, record
    if chance.random() < 0.3:
        del known[key]
        return stage_remove, old
    known[key] = at_version(record, old.version + 1)
    return stage_save, known[key]


def _some_record(
    chance: random.Random, record_type: RecordType[Any], known: Mapping[str, Any], users: Sequence[UserId]
) -> Any:
    """Return a record, half of whose values are taken; its owner never changes."""
    owner, key = a_user(id=chance.choice(users)), nth_key(record_type, chance.choice(FEW))
    if record_type.owner is not None and record_type.owner != record_type.key and key in known:
        owner = a_user(id=UserId(getattr(known[key], record_type.owner)))
    record = a_record(record_type, owner, key=key)
    if record_type.due:
        record = replace(record, **{record_type.due: chance.choice(MOMENTS)})
    if record_type is SAMPLES:
        due = chance.choice([record.due_at, None])
        record = replace(record, due_at=due, label=chance.choice(["one", None]), serial=chance.choice(["1", "2"]))
    return record


def _some_user(chance: random.Random, user_id: UserId) -> User:
    """Return a user, half of whose keys are taken or duplicate; some are active admins."""
    username = chance.choice(["ann", "ben", None])
    email = chance.choice(EMAILS)
    user = a_user(
        id=user_id,
        email=an_email(email),
        username=None if username is None else a_username(username),
        name=chance.choice(["ann", "ben", "cid"]),
    )
    return replace(user, role=chance.choice(list(Role)), active=chance.random() < 0.7)


async def _outcome(unit: UnitOfWork) -> type[DomainError] | None:
    try:
        await unit.commit()
    except DomainError as error:
        return type(error)
    return None


async def _seen_in(storage: Storage) -> object:
    unit = storage.unit_of_work()
    found = [await unit.users.search(a_prefix(prefix), limit=10) for prefix in ("ann", "ben", "cid", "d")]
    by_email = [await unit.users.find_by_email(an_email(email)) for email in EMAILS]
    admins = list(await unit.users.active_admins(limit=10)), list(await unit.users.active_admins(limit=1))
    by_type = [
        (
            [await unit.records(record_type).get(nth_key(record_type, number)) for number in FEW],
            [await unit.records(record_type).page(owner=nth_user_id(number), limit=10) for number in FEW],
            [await unit.records(record_type).count(owner=nth_user_id(number)) for number in FEW],
            await unit.records(record_type).count(),
            [await unit.records(record_type).due(moment, limit=10) for moment in MOMENTS],
            await unit.records(record_type).due(LATER, limit=1),
        )
        for record_type in TYPES
    ]
    labelled = await unit.records(SAMPLES).find("label", "one")
    by_serial = [await unit.records(SAMPLES).find("serial", serial) for serial in ("1", "2")]
    users = await unit.users.count()
    return await read_all(storage), found, by_email, admins, by_type, labelled, by_serial, users
