"""Every query uses a suitable index, so that its cost does not grow with the number of users.

Every method of every repository is called, alone and concurrently. The database explains every resulting statement.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from inspect import isfunction
from typing import Any, Final, TypeAlias

import pytest

from adapters.sql.storage import SqlStorage
from adapters.sql.tables import METADATA
from adapters.storage_contract.admins import an_admin
from adapters.storage_contract.examples import (
    LATER,
    a_prefix,
    a_record,
    a_user,
    a_username,
    changed,
    nth_user_id,
    renamed,
)
from adapters.storage_contract.samples import CONTRACT_TYPES, SAMPLES
from adapters.storage_contract.steps import add
from domain.records import RecordType
from domain.storage import Records, Storage, UnitOfWork, UserRepository
from domain.user import User
from domain.values import Username
from tests.migrations.query_plans import Fault, Plan, explained, format_plans
from tests.servers.sql import execute
from tests.storage.database_contract import connected
from tests.storage.sql_tables import METADATA as SAMPLE_METADATA

TABLES: Final = {**METADATA.tables, **SAMPLE_METADATA.tables}
STATISTICS: Final = {
    "sqlite": (),  # SQLite collects none by itself
    "postgresql": ("ANALYZE",),
    "mariadb": (f"ANALYZE TABLE {', '.join(TABLES)}",),
}
USERS: Final = 5_000  # more than a search may sort
MEMBERS: Final = 360
RECORDS: Final = 1_500
AT_ONCE: Final = 4
EARLIER: Final = LATER.replace(year=1999)


class Stored:
    """The stored entities; each is handed out once, because a case may remove it."""

    def __init__(self, members: Sequence[User], records: Mapping[RecordType[Any], Sequence[Any]]) -> None:
        """`members` have a username and own a record of each type."""
        self._members: Final = iter(members)
        self._records: Final = {record_type: iter(of_type) for record_type, of_type in records.items()}

    def member(self) -> User:
        return next(self._members)

    def username(self) -> Username:
        username = self.member().username
        assert username is not None
        return username

    def record(self, record_type: RecordType[Any]) -> Any:
        return next(self._records[record_type])


Do: TypeAlias = Callable[[UnitOfWork, Stored], Awaitable[object] | None]


@dataclass(frozen=True, slots=True)
class Case:
    """A call, and the faults that its plans cannot avoid."""

    do: Do
    unavoidable: frozenset[Fault] = frozenset()
    index: str = ""
    """The required index, where others would look suitable too."""


COUNTS_ALL: Final = frozenset[Fault]({"scans"})
"""A count of all users visits all, through an index alone, which is smaller than the table."""

SORTS_FEW: Final = frozenset[Fault]({"sorts"})
"""The few matches of three indexes must be sorted by id."""

LEAVES_OUT_FEW: Final = frozenset[Fault]({"filters"})
"""Where most users match, filtering the others is fastest."""

COUNTS_MOST: Final = frozenset[Fault]({"scans", "filters"})
"""A count of most users visits as many, so a database may scan all."""

USER_CASES: Final[Mapping[str, Sequence[Case]]] = {
    "get": [Case(lambda unit, some: unit.users.get(some.member().id))],
    "find_by_email": [Case(lambda unit, some: unit.users.find_by_email(some.member().email))],
    "find_by_emails": [Case(lambda unit, some: unit.users.find_by_emails([some.member().email for _ in range(8)]))],
    "find_by_username": [Case(lambda unit, some: unit.users.find_by_username(some.username()))],
    "page": [
        Case(lambda unit, _: unit.users.page(limit=51)),
        Case(lambda unit, _: unit.users.page(limit=51, descending=True)),
        Case(lambda unit, _: unit.users.page(limit=51, skip=200)),
        Case(lambda unit, some: unit.users.page(limit=51, after=some.member().id)),
        Case(lambda unit, some: unit.users.page(limit=51, after=some.member().id, descending=True)),
    ],
    "search": [
        Case(lambda unit, some: unit.users.search(a_prefix(str(some.member().name)), limit=51), SORTS_FEW),
        Case(lambda unit, _: unit.users.search(a_prefix("unknown"), limit=51, descending=True), SORTS_FEW),
        Case(lambda unit, _: unit.users.search(a_prefix("user"), limit=51), LEAVES_OUT_FEW),
        Case(lambda unit, _: unit.users.search(a_prefix("user"), limit=51, descending=True), LEAVES_OUT_FEW),
    ],
    "count": [
        Case(lambda unit, _: unit.users.count(), COUNTS_ALL),
        Case(lambda unit, some: unit.users.count(a_prefix(str(some.member().name)))),
        Case(lambda unit, _: unit.users.count(a_prefix("user")), COUNTS_MOST),
    ],
    "active_admins": [Case(lambda unit, _: unit.users.active_admins(limit=2), index="ix_users_role_active_id")],
    "add": [Case(lambda unit, _: unit.users.add(a_user()))],
    "save": [Case(lambda unit, some: unit.users.save(renamed(some.member(), "Renamed")))],
    "remove": [Case(lambda unit, some: unit.users.remove(some.member()))],
    "require": [Case(lambda unit, some: unit.users.require(some.member()))],
}


def record_cases(record_type: RecordType[Any]) -> Mapping[str, Sequence[Case]]:
    """Return the cases of `Records` for one type."""

    def records(unit: UnitOfWork) -> Records[Any]:
        return unit.records(record_type)

    def call(method: str, **options: Any) -> Do:
        return lambda unit, some: getattr(records(unit), method)(**options)

    def write(method: str, make: Callable[[Any], Any]) -> Sequence[Case]:
        return [Case(lambda unit, some: getattr(records(unit), method)(make(some.record(record_type))))]

    def page(**options: Any) -> Do:
        return lambda unit, some: records(unit).page(limit=51, after=key_of(some), **options)

    def find(name: str, unit: UnitOfWork, some: Stored) -> Awaitable[object]:
        return records(unit).find(name, getattr(some.record(record_type), name))

    def key_of(some: Stored) -> str:
        return record_type.key_of(some.record(record_type))

    def owner_of(some: Stored) -> Any:
        return record_type.owner_of(some.record(record_type))

    cases: dict[str, Sequence[Case]] = {
        "get": [Case(lambda unit, some: records(unit).get(key_of(some)))],
        "page": [
            *(Case(call("page", limit=51, descending=descending)) for descending in (False, True)),
            Case(call("page", limit=51, skip=200)),
            *(Case(page(descending=descending)) for descending in (False, True)),
        ],
        "count": [Case(call("count"), COUNTS_ALL)],
        "add": [Case(lambda unit, some: records(unit).add(a_record(record_type, some.member())))],
        "save": write("save", lambda record: changed(record_type, record)),
        "remove": write("remove", lambda record: record),
        "require": write("require", lambda record: record),
        "find": [Case(partial(find, name)) for name in record_type.unique],
        "due": [],
    }
    if record_type.owner:
        index = "" if record_type.owner == record_type.key else f"ix_{record_type.name}_{record_type.owner}"
        cases["page"] = [
            *cases["page"],
            Case(lambda unit, some: records(unit).page(owner=owner_of(some), limit=51), index=index),
            Case(lambda unit, some: records(unit).page(owner=owner_of(some), limit=51, descending=True), index=index),
            Case(lambda unit, some: records(unit).page(owner=owner_of(some), limit=51, skip=200), index=index),
            Case(
                lambda unit, some: records(unit).page(
                    owner=record_type.owner_of(record := some.record(record_type)),
                    limit=51,
                    after=record_type.key_of(record),
                ),
                index=index,
            ),
        ]
        cases["count"] = [*cases["count"], Case(lambda unit, some: records(unit).count(owner=owner_of(some)))]
    if record_type.due:
        index = f"ix_{record_type.name}_{record_type.due}"
        cases["due"] = [Case(call("due", moment=moment, limit=10), index=index) for moment in (LATER, EARLIER)]
    return cases


def test_every_method_is_called_here() -> None:
    for port, cases in ((UserRepository, USER_CASES), (Records, record_cases(SAMPLES))):
        assert {name for name, found in vars(port).items() if isfunction(found) and name[0] != "_"} == set(cases)


@pytest.fixture
async def filled(url: str) -> AsyncIterator[tuple[Storage, Stored]]:
    async with connected(url) as storage:
        assert isinstance(storage, SqlStorage)
        await storage.prepare()
        others = [a_user() for _ in range(USERS - MEMBERS)]
        members = [a_user(username=a_username(f"name_{number}")) for number in range(MEMBERS)]
        records = {
            record_type: [a_record(record_type, owner) for owner in others[:RECORDS]] for record_type in CONTRACT_TYPES
        }
        await add(storage, *members, *others, an_admin(), an_admin())
        for of_type in records.values():
            await add(storage, *of_type)
        if statistics := STATISTICS[url.partition(":")[0]]:
            execute(url, *statistics)
        yield storage, Stored(members, records)


@pytest.mark.slow
async def test_no_statement_costs_more_for_there_being_more_rows(url: str, filled: tuple[Storage, Stored]) -> None:
    storage, stored = filled
    wrong: list[str] = []
    all_cases = {f"users.{name}": cases for name, cases in USER_CASES.items()}
    for record_type in CONTRACT_TYPES:
        all_cases |= {f"{record_type.name}.{name}": cases for name, cases in record_cases(record_type).items()}
    for name, cases in all_cases.items():
        for case in cases:
            for way, how in (("alone", alone), ("twice in a unit", twice_in_a_unit), ("at once", at_once)):
                with explained() as plans:
                    await how(storage, case.do, stored)
                assert plans, f"of {name} nothing was seen"
                bad = [plan for plan in plans if plan.faults - case.unavoidable or case.index not in plan.text]
                if bad:
                    wrong.append(f"{name}, {way}:\n{format_plans(dict.fromkeys(bad))}")
    wrong += [f"{name}:\n{format_plans([plan])}" for name, plan in cascades(url) if plan.faults]
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
    """Explain what a database itself does with the records of a removed user."""
    unused_id = nth_user_id(0)
    written = f"'{unused_id}'" if url.startswith("postgresql") else f"x'{unused_id.replace('-', '')}'"
    for table in TABLES.values():
        for key in table.foreign_keys:
            with explained() as plans:
                execute(url, f"DELETE FROM {table.name} WHERE {key.parent.name} = {written}")  # noqa: S608 - our names
            (plan,) = plans
            yield f"the removal of a user from {table.name}", plan
