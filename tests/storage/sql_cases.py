"""What the contract leaves open, or cannot cause, and a database could get wrong."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, ClassVar, Final

import pytest
from sqlalchemy import Connection, bindparam, func, select
from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.util import await_only

from adapters.purging import BackgroundPurge
from adapters.sql.removals import MAX_CASCADE_ROWS
from adapters.sql.storage import SqlStorage
from adapters.sql.tables import TABLES, USERS, owner_of
from adapters.sql.types import Json
from adapters.sql.users import row_of
from adapters.storage_contract.examples import (
    LATER,
    a_credential,
    a_full_session,
    a_full_user,
    a_post,
    a_prefix,
    a_record,
    a_user,
    an_email,
    changed,
    renamed,
)
from adapters.storage_contract.samples import CONTRACT_TYPES
from adapters.storage_contract.steps import (
    StorageContents,
    add,
    assert_same,
    outcomes,
    read_all,
    remove,
    save,
    stage_add,
    stage_remove,
    stage_require,
    stage_save,
    stored,
    stored_user,
)
from domain.credential import CREDENTIALS
from domain.errors import EmailTaken, IdTaken, StaleVersion, TooBusy, UserNotFound
from domain.jobs import Job
from domain.records import RecordType
from domain.session import Session
from domain.storage import Storage, UnitOfWork
from domain.user import User
from domain.values import JobId
from tests.servers.choice import Kind
from tests.servers.databases import Databases
from tests.storage.database_contract import connected
from tests.storage.sql_statements import counted_commits, counted_inserts, counted_reads
from tests.storage.sql_tables import SAMPLES

TYPES: Final[Mapping[type, RecordType[Any]]] = {record_type.entity: record_type for record_type in CONTRACT_TYPES}


class SqlCases:
    kind: ClassVar[Kind]

    @pytest.fixture
    def url(self, databases: Databases) -> Iterator[str]:
        with databases.fresh(self.kind) as url:
            yield url

    @pytest.fixture
    async def storage(self, url: str) -> AsyncIterator[Storage]:
        async with connected(url) as storage:
            await storage.prepare()
            yield storage

    @pytest.fixture
    async def another_client(self, storage: Storage, url: str) -> AsyncIterator[Storage]:
        async with connected(url) as another:
            yield another

    @pytest.mark.parametrize("rows", [100, 737, 1_000, 1_237])
    async def test_of_many_rows_all_are_added_or_none(self, storage: Storage, rows: int) -> None:
        taken = a_user()
        await add(storage, taken)
        users = [a_user() for _ in range(rows - 1)]
        with pytest.raises(EmailTaken):
            await add(storage, *users, a_user(email=taken.email))
        assert await storage.unit_of_work().users.count() == 1
        await add(storage, *users, a_user())
        assert await storage.unit_of_work().users.count() == 1 + rows

    async def test_a_bug_of_the_adapter_is_not_reported_as_an_outage(self, storage: Storage) -> None:
        assert isinstance(storage, SqlStorage)
        with pytest.raises(ZeroDivisionError):
            await storage.database.transact(lambda _: 1 // 0)
        unwritable = select(bindparam("value", type_=Json()))
        with pytest.raises(StatementError, match="TypeError"):
            await storage.database.transact(lambda connection: connection.execute(unwritable, {"value": object()}))
        with pytest.raises(TypeError):
            await storage.database.fetch(unwritable, {"value": object()})
        await storage.ping()

    async def test_a_user_agent_may_be_of_any_script_and_end_with_spaces(self, storage: Storage) -> None:
        user = a_user()
        longest = [character * Session.MAX_USER_AGENT_LENGTH for character in ("x", "ß", "狐", "🦊")]
        sessions = [replace(a_full_session(user), user_agent=text) for text in (*longest, "", "spaces  ")]
        await add(storage, user, *sessions)
        for session in sessions:
            assert_same(await stored(storage, session), session)

    async def test_commits_that_arrive_together_share_transactions(self, storage: Storage) -> None:
        users = [a_user() for _ in range(50)]
        with counted_inserts() as inserts:
            await asyncio.gather(*(add(storage, user) for user in users))
            assert 1 <= inserts() <= 5
        with counted_commits() as commits:
            await asyncio.gather(*(save(storage, renamed(user, "Renamed")) for user in users))
            assert 1 <= commits() <= 5
        assert (await read_all(storage)).users == [renamed(user, "Renamed") for user in users]

    async def test_of_commits_that_arrive_together_one_is_refused(self, storage: Storage) -> None:
        there, users = a_user(), [a_user() for _ in range(15)]
        await add(storage, there)
        attempts = [add(storage, user) for user in (*users, a_user(email=there.email))]
        assert await outcomes(attempts) == [*[None] * 15, EmailTaken]
        assert (await read_all(storage)).users == [there, *users]

    async def test_users_that_are_added_together_with_their_records_share_transactions(self, storage: Storage) -> None:
        there, users = a_user(), [a_user() for _ in range(30)]
        await add(storage, there)
        records = [(user, a_credential(user)) for user in (*users, a_user(email=there.email))]
        with counted_commits() as commits:
            assert await outcomes([add(storage, *each) for each in records]) == [*[None] * 30, EmailTaken]
            assert 1 <= commits() <= 15  # the batch with a taken address is halved until it is alone
        found = await read_all(storage)
        assert found.users == [there, *users]
        assert found.records["credentials"] == [credential for _, credential in records[:-1]]

    async def test_a_user_with_records_of_several_types_is_added_with_all_of_them_or_not_at_all(
        self, storage: Storage
    ) -> None:
        user, other = a_user(), a_user()
        credential, namesake = a_credential(user), a_user(email=user.email)
        job = Job.create(id=JobId(user.id), kind="mail", payload={}, due_at=LATER)
        await add(storage, user, credential, job)
        assert await outcomes([add(storage, other, a_credential(other), job)]) == [IdTaken]
        assert await outcomes([add(storage, namesake, a_credential(namesake), job)]) == [EmailTaken]
        found = await read_all(storage)
        assert (found.users, found.records["credentials"]) == ([user], [credential])

    async def test_reads_that_arrive_together_share_statements(self, storage: Storage) -> None:
        users = [a_user() for _ in range(50)]
        await add(storage, *users)
        with counted_reads() as statements:
            asked = [*users[:0:-1], a_user(), users[1], users[0]]
            found = await asyncio.gather(*(storage.unit_of_work().users.get(user.id) for user in asked))
            assert 1 <= statements() <= 5
        assert found == [*users[:0:-1], None, users[1], users[0]]

    async def test_pages_that_are_asked_for_together_are_read_once_each(self, storage: Storage) -> None:
        users = [a_user() for _ in range(30)]
        await add(storage, *users)
        starts = [None, *(user.id for user in users[:4])]
        with counted_reads() as statements:
            asked = (storage.unit_of_work().users.page(after=start, limit=3) for start in starts * 20)
            found = await asyncio.gather(*asked)
            assert len(starts) <= statements() <= 2 * len(starts)
        assert found == [users[n : n + 3] for n in range(5)] * 20

    async def test_a_page_shows_what_was_added_before_it_was_asked_for(self, storage: Storage) -> None:
        async def add_and_look() -> bool:
            user = a_user()
            await add(storage, user)
            return user in await storage.unit_of_work().users.page(limit=200)

        assert all(await asyncio.gather(*(add_and_look() for _ in range(100))))

    async def test_what_becomes_empty_is_saved_by_who_has_read_it(self, storage: Storage) -> None:
        user = a_full_user()
        await add(storage, user)
        unit = storage.unit_of_work()
        found = await unit.users.get(user.id)
        assert found
        emptied = found.change(now=found.updated_at, username=None, bio=None)
        unit.users.save(emptied)
        await unit.commit()
        assert_same(await stored_user(storage, user), emptied)

    async def test_all_of_a_save_is_kept_though_its_unit_has_read_an_older_version(self, storage: Storage) -> None:
        user = a_user(name="Ann")
        await add(storage, user)
        unit = storage.unit_of_work()
        await unit.users.get(user.id)
        await save(storage, renamed(user, "Ben"))
        latest = await unit.users.find_by_email(user.email)
        assert latest
        back = renamed(latest, "Ann")
        unit.users.save(back)
        await unit.commit()
        assert_same(await stored_user(storage, user), back)

    async def test_of_thousands_who_are_found_those_asked_for_are_given(self, storage: Storage) -> None:
        named, mailed = [a_user(name=f"Zoe {n}") for n in range(4_200)], [a_user(name="Ann") for _ in range(4_200)]
        both = a_user(name="User by both")
        await add(storage, *named, *mailed, both)
        users = storage.unit_of_work().users
        for prefix, found in (("zoe", named), ("user.", [*named, *mailed, both]), ("user b", [both])):
            assert list(await users.search(a_prefix(prefix), limit=3)) == found[:3]
            assert list(await users.search(a_prefix(prefix), limit=3, descending=True)) == found[:-4:-1]
            assert await users.count(a_prefix(prefix)) == len(found)

    async def test_of_a_user_who_owns_much_nothing_is_found_or_written_from_the_removal_on(
        self, storage: Storage, another_client: Storage, purge_is_held_back: pytest.MonkeyPatch, url: str
    ) -> None:
        user, other = a_full_user(), a_user()
        records = [a_record(record_type, user) for record_type in CONTRACT_TYPES if record_type.owner]
        kept = [a_record(record_type, other) for record_type in CONTRACT_TYPES]
        await add(storage, user, other, *records, *kept)
        await add(storage, *(a_post(user) for _ in range(MAX_CASCADE_ROWS)))
        await remove(storage, user)
        assert await left_of(storage, user) > MAX_CASCADE_ROWS + len(records)
        for client in (storage, another_client):
            await assert_gone(client, user, records)
            assert await read_all(client) == StorageContents.of(other, *kept)
            await assert_refused(client, user, records)
        await add(storage, a_user(email=user.email, username=user.username))
        purge_is_held_back.undo()
        async with connected(url) as next_process, asyncio.timeout(30):
            while await left_of(next_process, user):
                await next_process.ping()
        await add(storage, replace(user, email=an_email("again@example.org"), username=None), *records)

    async def test_a_user_who_owns_little_is_gone_with_all_of_it_at_the_commit(
        self, storage: Storage, purge_is_held_back: pytest.MonkeyPatch
    ) -> None:
        user, other = a_user(), a_user()
        await add(storage, user, other, *(a_post(user) for _ in range(MAX_CASCADE_ROWS)))
        await remove(storage, user)
        assert await left_of(storage, user) == 0
        await add(storage, user)

    @pytest.fixture
    def purge_is_held_back(self) -> Iterator[pytest.MonkeyPatch]:
        """Suspend all purging, as if each process had died, until the end of the context."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(BackgroundPurge, "wake", lambda _: None)
            yield patch


async def left_of(storage: Storage, user: User) -> int:
    """Count the remaining rows of a user."""
    assert isinstance(storage, SqlStorage)
    owners = (owner_of(table) for table in (*TABLES.values(), SAMPLES))
    columns = [USERS.c.id, *(column for column in owners if column is not None)]
    counts = [select(func.count()).where(column == user.id).scalar_subquery() for column in columns]
    return sum((await storage.database.fetch(select(*counts)))[0])


async def assert_gone(storage: Storage, user: User, records: Sequence[Any]) -> None:
    unit = storage.unit_of_work()
    assert await unit.users.get(user.id) is None
    assert await unit.users.find_by_email(user.email) is None
    assert user.username is None or await unit.users.find_by_username(user.username) is None
    assert await unit.users.count() == len(await unit.users.page(limit=1_000))
    assert not await unit.users.search(a_prefix(str(user.name)), limit=10)
    assert not await unit.users.active_admins(limit=10)
    for record in records:
        record_type = TYPES[type(record)]
        found = unit.records(record_type)
        assert await found.get(record_type.key_of(record)) is None
        for name, value in record_type.unique_values_of(record).items():
            assert await found.find(name, value) is None
        assert not await found.page(owner=user.id, limit=10)
        assert await found.count(owner=user.id) == 0
        assert await found.count() == len(await found.page(limit=1_000))
        if record_type.due:
            assert record not in await found.due(LATER, limit=1_000)


async def assert_refused(storage: Storage, user: User, records: Sequence[Any]) -> None:
    for gone in (user, *records):
        after = renamed(user, "Renamed") if isinstance(gone, User) else changed(TYPES[type(gone)], gone)
        for stage, record in ((stage_save, after), (stage_remove, gone), (stage_require, gone)):
            for others in ([], [a_user()]):
                unit = storage.unit_of_work()
                stage(unit, record)
                stage_add(unit, *others)
                with pytest.raises(StaleVersion):
                    await unit.commit()
    for number in (1, 3):
        for record_type in TYPES.values():
            if record_type.owner and record_type.owner != record_type.key:
                with pytest.raises(UserNotFound):
                    await add(storage, *(a_record(record_type, user) for _ in range(number)))
    with pytest.raises(TooBusy):
        await add(storage, replace(a_user(), id=user.id))


class Abandoned(Exception):
    """Rolls a transaction back."""


class SqlServerCases(SqlCases):
    """Cases for databases with concurrent write transactions."""

    async def test_a_required_user_cannot_be_changed_before_the_commit_is_done(
        self, storage: Storage, another_client: Storage
    ) -> None:
        user = a_user()
        await add(storage, user)
        await assert_required(
            storage, lambda unit: unit.users.require(user), lambda: save(another_client, renamed(user, "Renamed"))
        )
        assert (await read_all(storage)).users[0] == renamed(user, "Renamed")

    async def test_a_required_credential_cannot_be_replaced_before_the_commit_is_done(
        self, storage: Storage, another_client: Storage
    ) -> None:
        user = a_user()
        before = a_credential(user)
        after = before.change("another hash")
        await add(storage, user, before)
        await assert_required(
            storage, lambda unit: unit.records(CREDENTIALS).require(before), lambda: save(another_client, after)
        )
        assert (await read_all(storage)).records["credentials"] == [after]

    async def test_an_update_that_waits_for_a_locked_row_delays_no_other(
        self, storage: Storage, another_client: Storage
    ) -> None:
        users = [a_user() for _ in range(20)]
        await add(storage, *users)
        async with locked(another_client, users[7]):
            saves = [asyncio.create_task(save(storage, renamed(user, "Renamed"))) for user in users]
            await assert_only_this_one_waits(saves, 7)
        await saves[7]
        assert (await read_all(storage)).users == [renamed(user, "Renamed") for user in users]

    async def test_an_insert_that_waits_for_a_locked_row_delays_no_other(
        self, storage: Storage, another_client: Storage
    ) -> None:
        users = [a_user() for _ in range(20)]
        await add(storage, *users)
        async with locked(another_client, users[7]):
            additions = [asyncio.create_task(add(storage, a_post(user))) for user in users]
            await assert_only_this_one_waits(additions, 7)
        await additions[7]
        assert len((await read_all(storage)).records["posts"]) == len(users)

    async def test_a_text_that_is_too_long_is_refused_and_never_cut_off(self, storage: Storage) -> None:
        assert isinstance(storage, SqlStorage)
        database = storage.database
        rows = [{**row_of(a_user()), "name": "x" * length} for length in (100, 101)]
        with pytest.raises(DBAPIError):
            await database.transact(database.backend.insertion(USERS, rows))
        assert (await read_all(storage)).users == []

    async def test_commits_that_require_two_users_in_opposite_order_do_not_wait_for_each_other(
        self, storage: Storage, another_client: Storage
    ) -> None:
        ann, ben = a_user(), a_user()
        credentials = a_credential(ann), a_credential(ben)
        await add(storage, ann, ben, *credentials)

        async def require(client: Storage, order: int) -> None:
            unit = client.unit_of_work()
            for credential in credentials[::order]:
                unit.records(CREDENTIALS).require(credential)
            for user in (ann, ben)[::order]:
                unit.users.require(user)
            await unit.commit()

        async with asyncio.timeout(5):
            for _ in range(20):
                attempts = (require(client, order) for client in (storage, another_client) for order in (1, -1))
                await asyncio.gather(*attempts)


@asynccontextmanager
async def locked(client: Storage, user: User) -> AsyncIterator[None]:
    """Hold the lock of a user's row, like a running removal, until the end of the context."""
    assert isinstance(client, SqlStorage)
    held, go_on = asyncio.Event(), asyncio.Event()

    def hold_a_row(connection: Connection) -> None:
        connection.execute(USERS.delete().where(USERS.c.id == user.id))
        held.set()
        await_only(go_on.wait())
        raise Abandoned

    holding = asyncio.create_task(client.database.transact(hold_a_row))
    await held.wait()
    try:
        yield
    finally:
        go_on.set()
        await asyncio.wait([holding])
    with pytest.raises(Abandoned):
        await holding


async def assert_only_this_one_waits(commits: Sequence[asyncio.Task[None]], place: int) -> None:
    slow = commits[place]
    async with asyncio.timeout(6):  # shorter than the timeout of a commit
        await asyncio.gather(*(commit for commit in commits if commit is not slow))
    assert not slow.done()


async def assert_required(
    storage: Storage, require: Callable[[UnitOfWork], None], change: Callable[[], Awaitable[None]]
) -> None:
    """Start a commit that waits for what it requires, and a concurrent change of that."""
    assert isinstance(storage, SqlStorage)
    rival, held, go_on = a_user(), asyncio.Event(), asyncio.Event()

    def hold_an_email(connection: Connection) -> None:
        connection.execute(USERS.insert(), [row_of(rival)])
        held.set()
        await_only(go_on.wait())
        raise Abandoned

    holding = asyncio.create_task(storage.database.transact(hold_an_email))
    await held.wait()
    unit = storage.unit_of_work()
    require(unit)
    unit.users.add(a_user(email=rival.email))
    commit = asyncio.create_task(unit.commit())
    await asyncio.sleep(0.3)
    changing = asyncio.ensure_future(change())
    await asyncio.sleep(0.3)
    try:
        assert not commit.done()
        assert not changing.done()
    finally:
        go_on.set()
        await asyncio.wait([holding, commit, changing])
    with pytest.raises(Abandoned):
        await holding
    await commit
    await changing
