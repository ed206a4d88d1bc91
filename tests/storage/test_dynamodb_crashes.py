"""Commits of several DynamoDB calls are all or nothing wherever they are interrupted, and leave nothing behind."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from adapters.dynamodb import intents, removals
from adapters.dynamodb.items import (
    REMOVALS,
    SCHEMA_KEY,
    Image,
    Key,
    RecordRef,
    UserRef,
    decoded_item,
    is_user,
    part_keys,
)
from adapters.storage_contract.admins import an_admin
from adapters.storage_contract.examples import (
    LATER,
    a_credential,
    a_full_user,
    a_post,
    a_prefix,
    a_record,
    a_session,
    a_user,
    an_email,
    refreshed,
    some_failures,
)
from adapters.storage_contract.samples import CONTRACT_TYPES, SAMPLES, Sample
from adapters.storage_contract.steps import (
    StorageContents,
    add,
    outcomes,
    owned,
    read_all,
    remove,
    save,
    stage_add,
    stage_remove,
    stage_save,
    stored,
)
from domain.errors import EmailTaken, IdTaken, StaleVersion, StorageUnavailable, TooBusy, UserNotFound
from domain.post import POSTS
from domain.records import MAX_RECORD_BYTES
from domain.session import SESSIONS, Session
from domain.storage import Storage, UnitOfWork
from domain.user import Role, User
from tests.servers.databases import Databases, server_kind
from tests.servers.dynamodb import all_items
from tests.servers.dynamodb_proxy import proxied
from tests.storage.database_contract import connected

Operation = Callable[[Storage], Awaitable[object]]

MANY = 70  # users of four items each: a commit of three parts
MANY_POSTS = 60  # two items each, purged in two parts
TOO_MANY_POSTS = 300  # purged before the removal returns
MAX_CALLS = 100


@pytest.fixture(scope="module")
async def prepared_url(databases: Databases) -> AsyncIterator[str]:
    with databases.fresh("dynamodb") as url:
        async with connected(url) as storage:
            await storage.prepare()
        yield url


@pytest.fixture
def url(prepared_url: str) -> Iterator[str]:
    yield prepared_url
    empty(prepared_url)


@pytest.fixture
async def storage(url: str) -> AsyncIterator[Storage]:
    async with connected(url) as storage:
        yield storage


async def test_an_addition_of_many_users_is_all_or_nothing_wherever_it_ends(url: str, storage: Storage) -> None:
    users = [a_full_user() for _ in range(MANY)]
    met = set()
    async for _ in dying_at_every_call(url, lambda dying: add(dying, *users)):
        (number,) = await numbers_seen(storage, users)
        met.add(number)
        result = (await outcomes([in_time(add(storage, *users))]))[0]
        assert result in ({None} if number == 0 else {IdTaken, EmailTaken})
        assert await numbers_seen(storage, users) == {MANY}
        await in_time(storage.prepare())
        assert_whole(url)
        empty(url)
    assert met == {0, MANY}


async def test_a_change_of_many_users_is_all_or_nothing_wherever_it_ends(url: str, storage: Storage) -> None:
    before = [a_full_user() for _ in range(22)]
    posts = [a_post(user) for user in before]
    saved = [user.change(now=LATER, email=an_email(f"new.{user.id}"), username=None) for user in before[2:]]

    async def change(storage: Storage) -> None:
        unit = storage.unit_of_work()
        for user in before[:2]:
            unit.users.remove(user)
        for user in saved:
            unit.users.save(user)
        stage_add(unit, *(a_post(user) for user in saved))
        unit.records(POSTS).remove(posts[-1])
        await unit.commit()

    met = set()
    await add(storage, *before, *posts)
    async for _ in dying_at_every_call(url, change):
        for _ in range(2):
            found = await read_all(storage)
            met.add(len(found.records["posts"]))
            assert (found.users, len(found.records["posts"])) in ((before, 22), (saved, 39))
            await finished_by_the_next_process(url)
        assert_whole(url)
        empty(url)
        await add(storage, *before, *posts)
    assert met == {22, 39}


WAYS_TO_FINISH: dict[str, Callable[[str, Storage, User], Awaitable[object]]] = {
    "opening the storage": lambda url, storage, user: finished_by_the_next_process(url),
    "adding the user again": lambda url, storage, user: outcomes([add(storage, user)]),
}


@pytest.mark.parametrize("finish", WAYS_TO_FINISH.values(), ids=WAYS_TO_FINISH)
async def test_a_removal_of_a_user_with_many_posts_is_all_or_nothing_wherever_it_ends(
    url: str, storage: Storage, finish: Callable[[str, Storage, User], Awaitable[object]]
) -> None:
    user = a_full_user()
    posts = [a_post(user) for _ in range(MANY_POSTS)]
    sessions = [a_session(user) for _ in range(3)]
    await add(storage, user, *posts, *sessions, a_credential(user))
    async for _ in dying_at_every_call(url, lambda dying: remove(dying, user)):
        unit = storage.unit_of_work()
        users = await unit.users.page(limit=10)
        assert await unit.users.count() == len(users)
        assert await unit.records(POSTS).count(owner=user.id) == MANY_POSTS * len(users)
        assert len(await unit.records(POSTS).page(owner=user.id, limit=100)) == MANY_POSTS * len(users)
        for post in posts[::10]:
            assert (await stored(storage, post) is not None) == (len(users) == 1)
        assert (
            await unit.records(POSTS).count()
            == len(await unit.records(POSTS).page(limit=100))
            == (MANY_POSTS * len(users))
        )
        assert await unit.records(SESSIONS).due(LATER, limit=10) == sessions * len(users)
        assert await unit.records(SESSIONS).page(owner=user.id, limit=1_000) == sessions * len(users)
        for session in sessions:
            assert await stored(storage, session) == (session if users else None)
        await finish(url, storage, user)
        if not users:
            rest = await unit.users.page(limit=10)
            assert await unit.records(POSTS).count(owner=user.id) == 0
            assert await unit.records(SESSIONS).page(owner=user.id, limit=1_000) == []
            assert await unit.records(POSTS).count() == 0
            assert_whole(url)
            assert len(all_items(url)) == 4 * len(rest) + 1
        empty(url)
        await add(storage, user, *posts, *sessions, a_credential(user))


async def test_the_rest_of_a_large_removal_is_invisible_and_deleted_by_the_next_process(
    url: str, storage: Storage
) -> None:
    user, next_owner = a_user(), a_user()
    posts = [a_post(user) for _ in range(TOO_MANY_POSTS)]
    sample = a_record(SAMPLES, user)
    await add(storage, user, next_owner, *posts, sample)
    async with connected(url) as dying:
        await remove(dying, user)
    assert len(all_items(url)) > TOO_MANY_POSTS / 2
    moved_sample = replace(sample, user_id=next_owner.id)
    await add(storage, moved_sample)
    assert await read_all(storage) == StorageContents.of(next_owner, moved_sample)
    unit = storage.unit_of_work()
    assert await unit.records(POSTS).count() == await unit.records(POSTS).count(owner=user.id) == 0
    assert await outcomes([save(storage, replace(posts[-1], version=2)), add(storage, a_post(user))]) == [
        StaleVersion,
        UserNotFound,
    ]
    await finished_by_the_next_process(url)
    assert await read_all(storage) == StorageContents.of(next_owner, moved_sample)
    assert_whole(url)


async def test_a_change_of_large_records_is_all_or_nothing_wherever_it_ends(url: str, storage: Storage) -> None:
    owner = a_user()
    before = [a_large_sample(owner) for _ in range(3)]
    after = [replace(sample, version=2, text=sample.text[::-1], label=None, due_at=None) for sample in before]
    met = set()
    await add(storage, owner, *before)
    async for _ in dying_at_every_call(url, lambda dying: save(dying, *after)):
        for _ in range(2):
            found = await owned(storage, SAMPLES, owner)
            assert found in (before, after)
            met.add(found[0].version)
            await finished_by_the_next_process(url)
        assert_whole(url)
        empty(url)
        await add(storage, owner, *before)
    assert met == {1, 2}
    await remove(storage, owner)
    assert_whole(url)


async def test_a_large_record_is_read_whole_while_it_is_saved(url: str, storage: Storage) -> None:
    owner = a_user()
    sample = a_large_sample(owner)
    await add(storage, owner, sample)

    async def write() -> None:
        async with connected(url) as writer:
            for version in range(2, 20):
                await save(writer, replace(sample, version=version, text=f"{version % 10}" * len(sample.text)))

    writing = asyncio.create_task(write())
    while not writing.done():
        found = await stored(storage, sample)
        assert found
        assert found.version == 1 or set(found.text) == {f"{found.version % 10}"}
    await writing


async def test_ids_of_posts_are_free_once_their_author_is_removed_wherever_that_ends(
    url: str, storage: Storage
) -> None:
    user, next_owner = a_full_user(), a_user()
    posts = [a_post(user) for _ in range(MANY_POSTS)]
    await add(storage, user, *posts, next_owner)
    async for calls in dying_at_every_call(url, lambda dying: remove(dying, user)):
        inherited = [a_post(next_owner, id=post.id) for post in posts[::30]]
        removed = await storage.unit_of_work().users.count() == 1
        assert await outcomes([add(storage, *inherited)]) == [None if removed else IdTaken], calls
        if removed:
            assert [await stored(storage, post) for post in inherited] == inherited
        await finished_by_the_next_process(url)
        assert_whole(url)
        empty(url)
        await add(storage, user, *posts, next_owner)


async def test_of_a_user_who_is_replaced_in_one_commit_only_what_it_adds_is_left(url: str, storage: Storage) -> None:
    user, other = a_full_user(), a_full_user()
    posts = [a_post(user) for _ in range(MANY_POSTS)]
    new_posts = [a_post(user, id=posts[0].id), a_post(other, id=posts[1].id), a_post(user)]
    sessions = [a_session(user), a_session(user), a_session(user)]
    new_sessions = [a_session(user, id=sessions[0].id), a_session(other, id=sessions[1].id), a_session(user)]
    await add(storage, user, other, *posts, *sessions, a_credential(user))

    async def remove_and_add(storage: Storage) -> None:
        unit = storage.unit_of_work()
        unit.users.remove(user)
        stage_add(unit, user, *new_posts, *new_sessions)
        await unit.commit()

    async for _ in dying_at_every_call(url, remove_and_add):
        await finished_by_the_next_process(url)
        found = await read_all(storage)
        assert found.users == [user, other]
        assert found.records["posts"] in (posts, new_posts)
        assert found.records["sessions"] == (sessions if found.records["posts"] == posts else new_sessions)
        assert len(found.records["credentials"]) == (found.records["posts"] == posts)
        assert_whole(url)
        empty(url)
        await add(storage, user, other, *posts, *sessions, a_credential(user))
    unit = storage.unit_of_work()
    unit.users.remove(user)
    stage_add(unit, user, new_posts[0], new_posts[0])
    with pytest.raises(IdTaken):
        await unit.commit()


async def test_a_user_who_is_replaced_has_only_new_records_before_the_old_ones_are_deleted(
    url: str, storage: Storage
) -> None:
    user = a_user()
    post = a_post(user)
    await add(storage, user, *(a_post(user) for _ in range(TOO_MANY_POSTS)))
    async with connected(url) as dying:
        unit = dying.unit_of_work()
        unit.users.remove(user)
        stage_add(unit, user, post)
        await unit.commit()
    assert len(all_items(url)) > TOO_MANY_POSTS / 2
    assert await read_all(storage) == StorageContents.of(user, post)
    posts = storage.unit_of_work().records(POSTS)
    assert await posts.count() == await posts.count(owner=user.id) == 1


async def test_what_a_user_had_cannot_be_changed_by_the_commit_that_replaces_them(storage: Storage) -> None:
    user = a_user()
    post, session = a_post(user), a_session(user)
    await add(storage, user, post, session)
    changes: list[Callable[[UnitOfWork], None]] = [
        lambda unit: stage_save(unit, refreshed(session)),
        lambda unit: stage_remove(unit, session),
        lambda unit: stage_remove(unit, post),
    ]
    for stage in changes:
        unit = storage.unit_of_work()
        unit.users.remove(user)
        unit.users.add(user)
        stage(unit)
        with pytest.raises(StaleVersion):
            await unit.commit()
    found = await read_all(storage)
    assert (found.users, found.records["posts"], found.records["sessions"]) == ([user], [post], [session])


async def test_an_end_of_all_sessions_of_a_user_is_all_or_nothing_wherever_it_ends(url: str, storage: Storage) -> None:
    user, other = an_admin(), an_admin()
    sessions = [a_session(user) for _ in range(Session.MAX_PER_USER)]
    demoted = user.change(now=LATER, role=Role.MEMBER)

    async def sign_out(storage: Storage) -> None:
        unit = storage.unit_of_work()
        unit.users.require(other)
        unit.users.save(demoted)
        stage_remove(unit, *sessions)
        await unit.commit()

    met = set()
    await add(storage, user, other, *sessions)
    async for _ in dying_at_every_call(url, sign_out):
        for _ in range(2):
            found = await read_all(storage)
            admins = list(await storage.unit_of_work().users.active_admins(limit=10))
            met.add(len(found.records["sessions"]))
            assert (found.users, found.records["sessions"], admins) in (
                ([user, other], sessions, [user, other]),
                ([demoted, other], [], [other]),
            )
            await in_time(storage.prepare())
        assert_whole(url)
        empty(url)
        await add(storage, user, other, *sessions)
    assert met == {0, len(sessions)}


async def test_an_answer_that_is_lost_is_no_failure(url: str, storage: Storage) -> None:
    users = [a_full_user() for _ in range(25)]
    changed = users[0].change(now=LATER, email=an_email("changed"), username=None)
    session = a_session(users[1])

    async def work(client: Storage) -> None:
        failures = some_failures()
        more = replace(failures, version=2, expires_at=LATER)
        await add(client, *users, a_credential(users[0]))
        await add(client, a_post(users[0]), a_post(users[0]))
        await add(client, session, failures)
        await save(client, refreshed(session), more)
        assert await stored(client, failures) == more
        await save(client, changed)
        await remove(client, changed)

    async for _ in losing_every_answer(url, work):
        assert (await read_all(storage)).users == users[1:]
        assert_whole(url)
        empty(url)


async def test_readers_see_all_of_an_addition_of_many_or_nothing(url: str, storage: Storage) -> None:
    users = [a_full_user() for _ in range(MANY)]
    done = asyncio.Event()
    met = set()

    async def watch() -> None:
        while not done.is_set():
            for numbers in await asyncio.gather(*(seen for seen in ways_of_seeing(storage, users))):
                met.add(numbers)

    async def write() -> None:
        async with connected(url) as writer:
            for _ in range(2):
                await add(writer, *users)
                unit = writer.unit_of_work()
                for user in users:
                    unit.users.remove(user)
                await unit.commit()
        done.set()

    await asyncio.gather(write(), watch())
    assert met <= {0, MANY}
    assert_whole(url)


async def test_rivals_with_many_users_each_leave_one_winner_or_none(url: str, storage: Storage) -> None:
    for _ in range(3):
        email = an_email(a_user().email.canonical)
        rivals = [[*(a_full_user() for _ in range(30)), a_user(email=email), a_full_user()] for _ in range(4)]
        results = await outcomes([add(storage, *users) for users in rivals])
        assert set(results) <= {None, EmailTaken, TooBusy}
        assert results.count(None) <= 1
        added = [user for users, result in zip(rivals, results, strict=True) if result is None for user in users]
        assert (await read_all(storage)).users == added
        assert_whole(url)
        empty(url)


async def test_a_commit_under_way_is_waited_for_and_an_overdue_one_is_not(
    url: str, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = [a_full_user() for _ in range(2)]
    async with proxied(url) as proxy, connected(proxy.url) as dying:
        proxy.dies_after = 2  # it has set its intents
        with pytest.raises(StorageUnavailable):
            await add(dying, *users)
    rival = a_user(email=users[0].email)
    monkeypatch.setattr("adapters.dynamodb.commits.RETRY_SECONDS", 1)
    with pytest.raises(TooBusy):
        await add(storage, rival)
    await in_time(add(storage, rival))
    assert (await read_all(storage)).users == [rival]
    assert_whole(url)


async def dying_at_every_call(url: str, work: Operation) -> AsyncIterator[int]:
    """Repeat some work, each time with a client that survives one more call, until it is done."""
    for calls in range(MAX_CALLS):
        async with proxied(url) as proxy, connected(proxy.url) as dying:
            proxy.dies_after = calls
            try:
                await work(dying)
            except StorageUnavailable:
                done = False
            else:
                done = proxy.requests <= calls
        yield calls
        if done:
            return
    raise AssertionError("it never comes to its end")


async def losing_every_answer(url: str, work: Operation) -> AsyncIterator[int]:
    """Repeat some work, each time losing the response to another call."""
    for call in range(1, MAX_CALLS):
        async with proxied(url) as proxy, connected(proxy.url) as storage:
            proxy.loses_answer_of = call
            await work(storage)
        yield call
        if proxy.requests < call:
            return
    raise AssertionError("it never comes to its end")


async def in_time(work: Awaitable[None]) -> None:
    """Do it when all unfinished commits are overdue."""
    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(intents, "time", lambda: (LATER + timedelta(days=1)).timestamp())
        await work


async def finished_by_the_next_process(url: str) -> None:
    """Wait until a new process has finished what others have left, all of which is overdue."""

    async def finish() -> None:
        async with connected(url) as storage:
            await storage.prepare()
            storage.unit_of_work()
            async with asyncio.timeout(60):
                while any(decoded_item(item)[0].pk == REMOVALS for item in all_items(url)):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)

    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(removals, "_RESUME_DELAY_SECONDS", 0)
        await in_time(finish())


def ways_of_seeing(storage: Storage, users: Sequence[User]) -> Sequence[Awaitable[int]]:
    """Count, by each kind of read, how many of the users are visible: all or none."""
    repository = storage.unit_of_work().users

    async def length(found: Awaitable[Sequence[User]]) -> int:
        return len(await found)

    return [
        length(repository.page(limit=1_000)),
        length(repository.page(limit=1_000, descending=True)),
        length(repository.find_by_emails([user.email for user in users])),
        length(repository.search(a_prefix("anna ärmel"), limit=1_000)),
        repository.count(),
        repository.count(a_prefix("anna")),
    ]


async def numbers_seen(storage: Storage, users: Sequence[User]) -> set[int]:
    return set(await asyncio.gather(*ways_of_seeing(storage, users)))


def a_large_sample(owner: User) -> Sample:
    return replace(a_record(SAMPLES, owner), text="語" * (MAX_RECORD_BYTES // 4))


def empty(url: str) -> None:
    server_kind("dynamodb").empty(url)


def assert_whole(url: str) -> None:
    """Assert that the table contains users and records, the items that point to them, and nothing else."""
    items = dict(decoded_item(item) for item in all_items(url))
    users = {key.sk: image for key, image in items.items() if key.pk == "users"}
    expected = {SCHEMA_KEY}
    for user_id, user in users.items():
        assert is_user(user)
        expected |= {Key("users", user_id), *UserRef(user_id).index(user)}
    for key, image in items.items():
        for record_type in CONTRACT_TYPES:
            owner = key.pk.removeprefix(f"owned#{record_type.name}#")
            if owner in users:
                expected |= items_of(RecordRef(record_type, owner, key.sk), image)
            elif key.pk == f"records#{record_type.name}" and record_type.owner is None:
                expected |= items_of(RecordRef(record_type, None, key.sk), image)
    assert items.keys() == expected
    assert not any(image.keys() & {"tx", "next", "purging"} for image in items.values())


def items_of(ref: RecordRef, image: Image) -> set[Key]:
    return {ref.item_key, ref.pointer_key, *ref.index(image), *part_keys(ref.item_key, image)}
