"""What is asked of a database is answered by an index that serves it, so that it costs no more among a million users.

Every method of every repository is called, alone and with others at the same time, and every statement that comes of it
is explained by the database, whatever it looks like and wherever it is made.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from inspect import isfunction
from typing import Final, NamedTuple, TypeAlias, get_type_hints

import pytest

from adapters.sql.storage import SqlStorage
from adapters.sql.tables import METADATA, TABLES
from adapters.storage_contract.admins import an_admin
from adapters.storage_contract.examples import (
    LATER,
    a_credential,
    a_post,
    a_prefix,
    a_session,
    a_user,
    a_username,
    nth_user_id,
    refreshed,
    renamed,
    retitled,
    some_failures,
)
from adapters.storage_contract.steps import add
from domain.credential import CREDENTIALS, Credential
from domain.post import POSTS, Post
from domain.session import SESSIONS, Session
from domain.sign_in_failures import SIGN_IN_FAILURES, SignInFailures
from domain.storage import Storage, UnitOfWork
from domain.user import User
from domain.values import Username
from tests.migrations.query_plans import Fault, Plan, explained, told
from tests.servers.sql import execute
from tests.storage.served_contract import opened

STATISTICS: Final = {
    "sqlite": (),  # of which it makes none by itself
    "postgresql": ("ANALYZE",),
    "mariadb": (f"ANALYZE TABLE {', '.join(METADATA.tables)}",),
}
USERS: Final = 5_000  # more than a search may sort
MEMBERS: Final = 360
FAILURES: Final = 1_500
AT_ONCE: Final = 4


class Member(NamedTuple):
    """A user with something of everything."""

    user: User
    post: Post
    credential: Credential
    session: Session

    @property
    def username(self) -> Username:
        assert self.user.username is not None
        return self.user.username


class Stored:
    """What is in the storage; each of it is given out once, since it may be removed by whoever has it."""

    def __init__(self, members: Sequence[Member], failures: Sequence[SignInFailures]) -> None:
        self._members: Final = iter(members)
        self._failures: Final = iter(failures)

    def member(self) -> Member:
        return next(self._members)

    def failures(self) -> SignInFailures:
        return next(self._failures)


Do: TypeAlias = Callable[[UnitOfWork, Stored], Awaitable[object] | None]


@dataclass(frozen=True, slots=True)
class Case:
    """A call, and the faults that its plans cannot but have."""

    do: Do
    unavoidable: frozenset[Fault] = frozenset()
    index: str = ""
    """The one by which it has to be answered, where others would look right too."""


COUNTS_ALL: Final = frozenset[Fault]({"scans"})
"""To count everybody is to look at everybody; an index alone is read for it, as it is smaller."""

SORTS_FEW: Final = frozenset[Fault]({"sorts"})
"""Who is found by one of three indexes comes in its order. They have to be put in the order of their ids, being few."""

LEAVES_OUT_FEW: Final = frozenset[Fault]({"filters"})
"""Where most match, they are found soonest by leaving out the others."""

COUNTS_MOST: Final = frozenset[Fault]({"scans", "filters"})
"""To count most of them is to look at as many, and a database may well look at all."""

_FAILURES_INDEX: Final = "ix_sign_in_failures_expires_at"

CASES: Final[Mapping[str, Sequence[Case]]] = {
    "users.get": [Case(lambda unit, some: unit.users.get(some.member().user.id))],
    "users.find_by_email": [Case(lambda unit, some: unit.users.find_by_email(some.member().user.email))],
    "users.find_by_emails": [
        Case(lambda unit, some: unit.users.find_by_emails([some.member().user.email for _ in range(8)]))
    ],
    "users.find_by_username": [Case(lambda unit, some: unit.users.find_by_username(some.member().username))],
    "users.page": [
        Case(lambda unit, _: unit.users.page(limit=51)),
        Case(lambda unit, _: unit.users.page(limit=51, descending=True)),
        Case(lambda unit, _: unit.users.page(limit=51, skip=200)),
        Case(lambda unit, some: unit.users.page(limit=51, after=some.member().user.id)),
        Case(lambda unit, some: unit.users.page(limit=51, after=some.member().user.id, descending=True)),
    ],
    "users.search": [
        Case(lambda unit, some: unit.users.search(a_prefix(str(some.member().user.name)), limit=51), SORTS_FEW),
        Case(lambda unit, _: unit.users.search(a_prefix("nobody"), limit=51, descending=True), SORTS_FEW),
        Case(lambda unit, _: unit.users.search(a_prefix("user"), limit=51), LEAVES_OUT_FEW),
        Case(lambda unit, _: unit.users.search(a_prefix("user"), limit=51, descending=True), LEAVES_OUT_FEW),
    ],
    "users.count": [
        Case(lambda unit, _: unit.users.count(), COUNTS_ALL),
        Case(lambda unit, some: unit.users.count(a_prefix(str(some.member().user.name)))),
        Case(lambda unit, _: unit.users.count(a_prefix("user")), COUNTS_MOST),
    ],
    "users.active_admins": [Case(lambda unit, _: unit.users.active_admins(limit=2), index="ix_users_role_active_id")],
    "users.add": [Case(lambda unit, _: unit.users.add(a_user()))],
    "users.save": [Case(lambda unit, some: unit.users.save(renamed(some.member().user, "Renamed")))],
    "users.remove": [Case(lambda unit, some: unit.users.remove(some.member().user))],
    "users.require": [Case(lambda unit, some: unit.users.require(some.member().user))],
    "posts.get": [Case(lambda unit, some: unit.records(POSTS).get(some.member().post.id))],
    "posts.page": [
        Case(
            lambda unit, some: unit.records(POSTS).page(some.member().user.id, limit=51), index="ix_posts_author_id_id"
        ),
        Case(lambda unit, some: unit.records(POSTS).page(some.member().user.id, limit=51, descending=True)),
        Case(lambda unit, some: unit.records(POSTS).page(some.member().user.id, limit=51, skip=200)),
        Case(
            lambda unit, some: unit.records(POSTS).page((one := some.member()).user.id, limit=51, after=one.post.id),
            index="ix_posts_author_id_id",
        ),
    ],
    "posts.count": [Case(lambda unit, some: unit.records(POSTS).count(some.member().user.id))],
    "posts.add": [Case(lambda unit, some: unit.records(POSTS).add(a_post(some.member().user)))],
    "posts.save": [Case(lambda unit, some: unit.records(POSTS).save(retitled(some.member().post, "Retitled")))],
    "posts.remove": [Case(lambda unit, some: unit.records(POSTS).remove(some.member().post))],
    "credentials.get": [Case(lambda unit, some: unit.records(CREDENTIALS).get(some.member().user.id))],
    "credentials.put": [Case(lambda unit, some: unit.records(CREDENTIALS).put(a_credential(some.member().user)))],
    "credentials.require": [Case(lambda unit, some: unit.records(CREDENTIALS).require(some.member().credential))],
    "sessions.get": [Case(lambda unit, some: unit.records(SESSIONS).get(some.member().session.id))],
    "sessions.of_user": [
        Case(lambda unit, some: unit.records(SESSIONS).of_user(some.member().user.id), index="ix_sessions_user_id_id")
    ],
    "sessions.add": [Case(lambda unit, some: unit.records(SESSIONS).add(a_session(some.member().user)))],
    "sessions.save": [Case(lambda unit, some: unit.records(SESSIONS).save(refreshed(some.member().session)))],
    "sessions.remove": [Case(lambda unit, some: unit.records(SESSIONS).remove(some.member().session))],
    "sign_in_failures.get": [Case(lambda unit, some: unit.records(SIGN_IN_FAILURES).get(some.failures().key))],
    "sign_in_failures.expired": [
        Case(lambda unit, _: unit.records(SIGN_IN_FAILURES).due(LATER, limit=10), index=_FAILURES_INDEX),
        Case(
            lambda unit, _: unit.records(SIGN_IN_FAILURES).due(LATER.replace(year=1999), limit=10),
            index=_FAILURES_INDEX,
        ),
    ],
    "sign_in_failures.add": [Case(lambda unit, _: unit.records(SIGN_IN_FAILURES).add(some_failures()))],
    "sign_in_failures.save": [
        Case(lambda unit, some: unit.records(SIGN_IN_FAILURES).save(some.failures().forgotten(LATER)))
    ],
    "sign_in_failures.remove": [Case(lambda unit, some: unit.records(SIGN_IN_FAILURES).remove(some.failures()))],
}


def test_every_method_of_every_repository_is_called_here() -> None:
    assert set(CASES) == set(methods())


def methods() -> Iterator[str]:
    for name, member in vars(UnitOfWork).items():
        if isinstance(member, property):
            repository = get_type_hints(member.fget)["return"]
            yield from (
                f"{name}.{method}"
                for method, found in vars(repository).items()
                if isfunction(found) and method[0] != "_"
            )


@pytest.fixture
async def filled(url: str) -> AsyncIterator[tuple[Storage, Stored]]:
    async with opened(url) as storage:
        assert isinstance(storage, SqlStorage)
        await storage.prepare()
        users = [a_user(username=a_username(f"name_{number}")) for number in range(MEMBERS)]
        members = [Member(user, a_post(user), a_credential(user), a_session(user)) for user in users]
        failures = [some_failures() for _ in range(FAILURES)]
        others = [a_user() for _ in range(USERS - MEMBERS)]
        theirs = [record for kind in list(zip(*members, strict=True))[1:] for record in kind]
        await add(storage, *users, *others, an_admin(), an_admin(), *theirs, *failures)
        if statistics := STATISTICS[url.partition(":")[0]]:
            execute(url, *statistics)
        yield storage, Stored(members, failures)


@pytest.mark.slow
async def test_no_statement_costs_more_for_there_being_more_rows(url: str, filled: tuple[Storage, Stored]) -> None:
    storage, stored = filled
    wrong: list[str] = []
    for name, cases in CASES.items():
        for case in cases:
            for way, how in (("alone", alone), ("twice in a unit", twice_in_a_unit), ("at once", at_once)):
                with explained() as plans:
                    await how(storage, case.do, stored)
                assert plans, f"of {name} nothing was seen"
                bad = [plan for plan in plans if plan.faults - case.unavoidable or case.index not in plan.text]
                if bad:
                    wrong.append(f"{name}, {way}:\n{told(dict.fromkeys(bad))}")
    wrong += [f"{name}:\n{told([plan])}" for name, plan in cascades(url) if plan.faults]
    assert not wrong, "\n\n".join(wrong)


async def in_a_unit(storage: Storage, do: Do, stored: Stored, times: int) -> None:
    unit = storage.unit_of_work()
    for _ in range(times):
        asked = do(unit, stored)
        if asked is not None:
            await asked
    await unit.commit()


async def alone(storage: Storage, do: Do, stored: Stored) -> None:
    await in_a_unit(storage, do, stored, 1)


async def twice_in_a_unit(storage: Storage, do: Do, stored: Stored) -> None:
    await in_a_unit(storage, do, stored, 2)


async def at_once(storage: Storage, do: Do, stored: Stored) -> None:
    await asyncio.gather(*(alone(storage, do, stored) for _ in range(AT_ONCE)))


def cascades(url: str) -> Iterator[tuple[str, Plan]]:
    """Explain what a database itself does about those who belong to a user that is removed."""
    nobody = nth_user_id(0)
    written = f"'{nobody}'" if url.startswith("postgresql") else f"x'{nobody.replace('-', '')}'"
    for table in TABLES:
        for key in table.foreign_keys:
            with explained() as plans:
                execute(url, f"DELETE FROM {table.name} WHERE {key.parent.name} = {written}")  # noqa: S608 - our names
            (plan,) = plans
            yield f"the removal of a user from {table.name}", plan
