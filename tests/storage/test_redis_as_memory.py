"""Units of work of any content come out as they do in memory, where each write is applied by itself."""

import random
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeAlias, TypeVar

import pytest

from adapters.memory.storage import MemoryStorage
from adapters.storage_contract.examples import (
    LATER,
    a_post,
    a_prefix,
    a_session,
    a_user,
    a_username,
    an_email,
    nth_post_id,
    nth_session_id,
    nth_user_id,
    some_failures,
)
from adapters.storage_contract.steps import Record, everything, stage_add, stage_remove, stage_save
from domain.credential import CREDENTIALS, Credential
from domain.errors import DomainError
from domain.post import POSTS, Post
from domain.session import SESSIONS, Session
from domain.sign_in_failures import SIGN_IN_FAILURES, SignInFailures
from domain.storage import Storage, UnitOfWork
from domain.user import Role, User
from domain.values import Title, UserId
from tests.servers.databases import Databases
from tests.storage.served_contract import opened

R = TypeVar("R", User, Post, Session, SignInFailures)
Write: TypeAlias = tuple[Callable[..., None], Record]

UNITS = 300
FEW = range(5)
KEYS = [f"key {number}" for number in FEW]
EMAILS = ["ann", "ben", *(f"email {number}" for number in range(10))]


@pytest.fixture
async def storage(databases: Databases) -> AsyncIterator[Storage]:
    with databases.fresh("redis") as url:
        async with opened(url) as storage:
            await storage.prepare()
            yield storage


@pytest.mark.parametrize("seed", range(5))
async def test_random_units_of_work_come_out_as_in_memory(storage: Storage, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - nothing is to be kept secret
    memory = MemoryStorage()
    outcomes = []
    for _ in range(UNITS):
        units = memory.unit_of_work(), storage.unit_of_work()
        await _stage(chance, *units)
        expected, outcome = [await _outcome(unit) for unit in units]
        assert outcome == expected
        assert await _seen_in(storage) == await _seen_in(memory)
        outcomes.append(outcome)
    assert outcomes.count(None) > UNITS / 5
    assert len(set(outcomes)) == 6, "success and five errors, or else it is not much of a test"


async def _stage(chance: random.Random, *units: UnitOfWork) -> None:
    """Stage the same writes in all units: most of them fit what is there, given the writes before them."""
    users = {user.id: user for user in await units[0].users.page(limit=100)}
    posts = {post.id: post for author in users for post in await units[0].posts.page(author, limit=100)}
    sessions = {
        session.id: session for user in users for session in await units[0].sessions.page(owner=user, limit=1_000)
    }
    failures = {found.key: found for found in await units[0].sign_in_failures.due(LATER, limit=100)}
    credentials = {user_id: await units[0].credentials.get(user_id) for user_id in users}
    for _ in range(chance.randint(1, 6)):
        user_id, post_id = nth_user_id(chance.choice(FEW)), nth_post_id(chance.choice(FEW))
        session_id, key = nth_session_id(chance.choice(FEW)), chance.choice(KEYS)
        match chance.randrange(8):
            case 0 | 1:
                write = _write(chance, users, _some_user(chance, user_id))
            case 2:
                author = a_user(id=user_id)
                write = _write(
                    chance,
                    posts,
                    replace(posts.get(post_id) or a_post(author, id=post_id), title=Title(f"{chance.random()}")),
                )
            case 3:
                user = a_user(id=user_id)
                write = _write(chance, sessions, sessions.get(session_id) or a_session(user, id=session_id))
            case 4:
                moment = LATER - timedelta(minutes=chance.choice(FEW))
                write = _write(chance, failures, some_failures(key=key, expires_at=moment))
            case 5:
                write = _stage_requirement, users.get(user_id) or a_user(id=user_id)
            case 6:
                write = _stage_requirement, credentials.get(user_id) or Credential(user_id, "hash")
            case _:
                credential = credentials[user_id] = Credential(user_id, f"hash {chance.random()}")
                write = stage_add, credential
        for unit in units:
            write[0](unit, write[1])


def _write(chance: random.Random, known: dict[Any, R], record: R) -> Write:
    key = _key_of(record)
    old = known.get(key)
    if chance.random() < 0.05:
        return chance.choice([stage_add, stage_save]), record  # whatever is there
    if old is None:
        known[key] = record
        return stage_add, record
    if chance.random() < 0.3:
        del known[key]
        return stage_remove, old
    known[key] = replace(record, version=old.version + 1)
    return stage_save, known[key]


def _key_of(record: User | Post | Session | SignInFailures) -> str:
    return record.key if isinstance(record, SignInFailures) else record.id


def _stage_requirement(unit: UnitOfWork, record: User | Credential) -> None:
    if isinstance(record, User):
        unit.users.require(record)
    else:
        unit.records(CREDENTIALS).require(record)


def _some_user(chance: random.Random, user_id: UserId) -> User:
    """Make a user whose keys are those of others, or twice their own, as often as not; and some active admins."""
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
    owners = [await unit.users.find_by_email(an_email(email)) for email in EMAILS]
    posts = [await unit.records(POSTS).get(nth_post_id(number)) for number in FEW]
    sessions = [await unit.records(SESSIONS).get(nth_session_id(number)) for number in FEW]
    failures = [await unit.records(SIGN_IN_FAILURES).get(key) for key in KEYS]
    expired = [
        sorted(
            some.key for some in await unit.records(SIGN_IN_FAILURES).due(LATER - timedelta(minutes=number), limit=10)
        )
        for number in FEW
    ]
    one_expired = len(await unit.records(SIGN_IN_FAILURES).due(LATER, limit=1))
    admins = list(await unit.users.active_admins(limit=10)), list(await unit.users.active_admins(limit=1))
    users = await unit.users.count()
    return await everything(storage), found, owners, posts, sessions, failures, expired, one_expired, admins, users
