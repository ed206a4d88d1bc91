"""What takes DynamoDB several calls is all or nothing wherever it is cut short, and leaves nothing behind."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from adapters.dynamodb import intents
from adapters.dynamodb.items import ADMINS, LAYOUT_KEY, admin_key, decoded_item, expiry_key, is_active_admin
from adapters.storage_contract.admins import an_admin
from adapters.storage_contract.examples import (
    LATER,
    a_credential,
    a_full_user,
    a_post,
    a_prefix,
    a_session,
    a_user,
    an_email,
    refreshed,
    renamed,
    some_failures,
)
from adapters.storage_contract.steps import (
    add,
    everything,
    outcomes,
    remove,
    save,
    stage_add,
    stage_remove,
    stage_save,
    stored,
    stored_user,
)
from domain.errors import EmailTaken, IdTaken, StaleVersion, StorageNotPrepared, StorageUnavailable, TooBusy
from domain.post import POSTS
from domain.session import SESSIONS, Session
from domain.storage import Storage, UnitOfWork
from domain.user import Role, User
from tests.servers.databases import Databases, served_kind
from tests.servers.dynamodb import all_items, delete_items, put_items
from tests.servers.dynamodb_proxy import proxied
from tests.storage.served_contract import opened

Work = Callable[[Storage], Awaitable[object]]

MANY = 70  # users, of four items each: a commit of three parts
MANY_POSTS = 60  # two items each, to be purged in two parts
MOST_CALLS = 100


@pytest.fixture(scope="module")
async def prepared_url(databases: Databases) -> AsyncIterator[str]:
    with databases.fresh("dynamodb") as url:
        async with opened(url) as storage:
            await storage.prepare()
        yield url


@pytest.fixture
def url(prepared_url: str) -> Iterator[str]:
    yield prepared_url
    empty(prepared_url)


@pytest.fixture
async def storage(url: str) -> AsyncIterator[Storage]:
    async with opened(url) as storage:
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
            found = await everything(storage)
            met.add(len(found.records["posts"]))
            assert (found.users, len(found.records["posts"])) in ((before, 22), (saved, 39))
            await in_time(storage.prepare())
        assert_whole(url)
        empty(url)
        await add(storage, *before, *posts)
    assert met == {22, 39}


WAYS_TO_FINISH: dict[str, Callable[[Storage, User], Awaitable[object]]] = {
    "looking for the user": lambda storage, user: stored_user(storage, user),
    "removing the user again": lambda storage, user: outcomes([remove(storage, user)]),
    "preparing": lambda storage, _: storage.prepare(),
    "adding the user again": lambda storage, user: outcomes([add(storage, user)]),
}


@pytest.mark.parametrize("finish", WAYS_TO_FINISH.values(), ids=WAYS_TO_FINISH)
async def test_a_removal_of_a_user_with_many_posts_is_all_or_nothing_wherever_it_ends(
    url: str, storage: Storage, finish: Callable[[Storage, User], Awaitable[object]]
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
        assert await unit.records(SESSIONS).page(owner=user.id, limit=1_000) == sessions * len(users)
        for session in sessions:
            assert await stored(storage, session) == (session if users else None)
        await finish(storage, user)
        if not users:
            rest = await unit.users.page(limit=10)
            assert await unit.records(POSTS).count(owner=user.id) == 0
            assert await unit.records(SESSIONS).page(owner=user.id, limit=1_000) == []
            assert_whole(url)
            assert len(all_items(url)) == 4 * len(rest) + 1
        empty(url)
        await add(storage, user, *posts, *sessions, a_credential(user))


async def test_ids_of_posts_are_free_once_their_author_is_removed_wherever_that_ends(
    url: str, storage: Storage
) -> None:
    user, heir = a_full_user(), a_user()
    posts = [a_post(user) for _ in range(MANY_POSTS)]
    await add(storage, user, *posts, heir)
    async for calls in dying_at_every_call(url, lambda dying: remove(dying, user)):
        inherited = [a_post(heir, id=post.id) for post in posts[::30]]
        removed = await storage.unit_of_work().users.count() == 1
        assert await outcomes([add(storage, *inherited)]) == [None if removed else IdTaken], calls
        if removed:
            assert [await stored(storage, post) for post in inherited] == inherited
        await storage.prepare()
        assert_whole(url)
        empty(url)
        await add(storage, user, *posts, heir)


async def test_of_a_user_who_is_replaced_in_one_commit_only_what_it_adds_is_left(url: str, storage: Storage) -> None:
    user, other = a_full_user(), a_full_user()
    posts = [a_post(user) for _ in range(MANY_POSTS)]
    anew = [a_post(user, id=posts[0].id), a_post(other, id=posts[1].id), a_post(user)]
    sessions = [a_session(user), a_session(user), a_session(user)]
    sessions_anew = [a_session(user, id=sessions[0].id), a_session(user), a_session(other, id=sessions[1].id)]
    await add(storage, user, other, *posts, *sessions, a_credential(user))

    async def remove_and_add(storage: Storage) -> None:
        unit = storage.unit_of_work()
        unit.users.remove(user)
        stage_add(unit, user, *anew, *sessions_anew)
        await unit.commit()

    async for _ in dying_at_every_call(url, remove_and_add):
        await in_time(storage.prepare())
        found = await everything(storage)
        assert found.users == [user, other]
        assert found.records["posts"] in (posts, [anew[0], anew[2], anew[1]])
        assert found.records["sessions"] == (sessions if found.records["posts"] == posts else sessions_anew)
        assert len(found.records["credentials"]) == (found.records["posts"] == posts)
        assert_whole(url)
        empty(url)
        await add(storage, user, other, *posts, *sessions, a_credential(user))
    unit = storage.unit_of_work()
    unit.users.remove(user)
    stage_add(unit, user, anew[0], anew[0])
    with pytest.raises(IdTaken):
        await unit.commit()


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
    found = await everything(storage)
    assert (found.users, found.records["posts"], found.records["sessions"]) == ([user], [post], [session])


async def test_an_end_of_all_sessions_of_a_user_is_all_or_nothing_wherever_it_ends(url: str, storage: Storage) -> None:
    user, other = an_admin(), an_admin()
    sessions = [a_session(user) for _ in range(Session.MOST_OF_A_USER)]
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
            found = await everything(storage)
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


async def test_a_table_of_an_earlier_version_is_not_prepared_until_all_that_it_lacks_is_there(
    url: str, storage: Storage
) -> None:
    admins = [an_admin() for _ in range(20)]
    await add(storage, *admins, *(a_full_user() for _ in range(20)))
    as_by_an_earlier_version(url)
    async for _ in dying_at_every_call(url, lambda dying: dying.prepare()):
        try:
            await storage.ping()
        except StorageNotPrepared:
            await storage.prepare()
            await storage.ping()
        assert list(await storage.unit_of_work().users.active_admins(limit=100)) == admins
        assert_whole(url)
        as_by_an_earlier_version(url)
    with pytest.raises(StorageNotPrepared):
        await storage.ping()
    await storage.prepare()


async def test_admins_whom_a_server_of_an_earlier_version_makes_and_demotes_are_got_right(
    url: str, storage: Storage
) -> None:
    demoted, kept, made = an_admin(), an_admin(), an_admin()
    await add(storage, demoted, kept)
    left = [item for item in all_items(url) if decoded_item(item)[0] == admin_key(demoted.id)]
    await save(storage, demoted.change(now=LATER, role=Role.MEMBER))
    put_items(url, left)
    await add(storage, made)
    delete_items(url, lambda key: key == admin_key(made.id))
    users = storage.unit_of_work().users
    assert list(await users.active_admins(limit=1)) == [kept]
    await save(storage, renamed(made, "Renamed"))
    assert list(await users.active_admins(limit=2)) == [kept, renamed(made, "Renamed")]


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
        assert (await everything(storage)).users == users[1:]
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
        async with opened(url) as writer:
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
        assert (await everything(storage)).users == added
        assert_whole(url)
        empty(url)


async def test_a_commit_under_way_is_waited_for_and_an_overdue_one_is_not(
    url: str, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = [a_full_user() for _ in range(2)]
    async with proxied(url) as proxy, opened(proxy.url) as dying:
        proxy.dies_after = 2  # it has set its marks
        with pytest.raises(StorageUnavailable):
            await add(dying, *users)
    rival = a_user(email=users[0].email)
    monkeypatch.setattr("adapters.dynamodb.calls._PATIENCE_SECONDS", 1)
    with pytest.raises(TooBusy):
        await add(storage, rival)
    await in_time(add(storage, rival))
    assert (await everything(storage)).users == [rival]
    assert_whole(url)


async def dying_at_every_call(url: str, work: Work) -> AsyncIterator[int]:
    """Do some work again and again, each time by a client that lives for one call longer, until it is done."""
    for calls in range(MOST_CALLS):
        async with proxied(url) as proxy, opened(proxy.url) as dying:
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


async def losing_every_answer(url: str, work: Work) -> AsyncIterator[int]:
    """Do some work again and again, each time with the answer to another call being lost."""
    for call in range(1, MOST_CALLS):
        async with proxied(url) as proxy, opened(proxy.url) as storage:
            proxy.loses_answer_of = call
            await work(storage)
        yield call
        if proxy.requests < call:
            return
    raise AssertionError("it never comes to its end")


async def in_time(work: Awaitable[None]) -> None:
    """Do it when all that is under way is overdue."""
    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(intents, "time", lambda: (LATER + timedelta(days=1)).timestamp())
        await work


def ways_of_seeing(storage: Storage, users: Sequence[User]) -> Sequence[Awaitable[int]]:
    """Count by each of the ways how many of the users are seen, who are all or none."""
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


def empty(url: str) -> None:
    served_kind("dynamodb").empty(url)


def as_by_an_earlier_version(url: str) -> None:
    delete_items(url, lambda key: key == LAYOUT_KEY or key.pk == ADMINS)


def assert_whole(url: str) -> None:
    """Hold that there are records in the table, what leads to them, and nothing else."""
    items = dict(decoded_item(item) for item in all_items(url))
    users = {key.sk: image for key, image in items.items() if key.pk == "users"}
    expected: set[tuple[str, str]] = {LAYOUT_KEY}
    for key, image in items.items():
        if key.pk.startswith("failures#"):
            expected |= {key, expiry_key(image, key.pk.removeprefix("failures#"))}
    for user_id, user in users.items():
        assert "version" in user
        expected |= {("users", user_id), ("emails", user["email_key"])}
        expected |= {("usernames", user["username_key"])} if "username_key" in user else set()
        expected |= {(key.pk, key.sk) for key in items if key.pk == "names" and key.sk.endswith(f"\0{user_id}")}
        expected |= {(key.pk, key.sk) for key in items if key.pk == f"credential#{user_id}"}
        posts = [key.sk for key in items if key.pk == f"posts#{user_id}"]
        expected |= {item for post in posts for item in ((f"posts#{user_id}", post), (f"post#{post}", "author"))}
        sessions = [key.sk for key in items if key.pk == f"sessions#{user_id}"]
        expected |= {item for one in sessions for item in ((f"sessions#{user_id}", one), (f"session#{one}", "user"))}
        expected |= {("admins", user_id)} if is_active_admin(user) else set()
    assert {(key.pk, key.sk) for key in items} == expected
    assert len([key for key in items if key.pk == "names"]) == len(users)
    assert not any(image.keys() & {"tx", "next", "purging"} for image in items.values())
