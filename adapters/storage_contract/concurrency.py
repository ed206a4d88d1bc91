import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import replace
from itertools import cycle

import pytest

from adapters.storage_contract.examples import (
    a_credential,
    a_full_user,
    a_post,
    a_user,
    a_username,
    an_email,
    nth_user_id,
    renamed,
    retitled,
)
from adapters.storage_contract.steps import (
    StorageContents,
    add,
    outcomes,
    read_all,
    remove,
    save,
    stage_save,
    stored,
    stored_credential,
    stored_user,
)
from domain.errors import DomainError, EmailTaken, IdTaken, StaleVersion, TooBusy, UsernameTaken, UserNotFound
from domain.post import POSTS, Post
from domain.storage import Storage
from domain.user import User

RIVALS = 20


class ConcurrencyCases:
    """Concurrent commits of two clients, as of two processes: one wins, and each gets the right outcome."""

    @pytest.fixture
    def clients(self, storage: Storage, another_client: Storage) -> Sequence[Storage]:
        return [client for client, _ in zip(cycle((storage, another_client)), range(RIVALS), strict=False)]

    async def test_all_of_many_different_users_are_added(self, storage: Storage, clients: Sequence[Storage]) -> None:
        users = [a_full_user() for _ in clients]
        attempts = [add(client, user, a_credential(user)) for client, user in zip(clients, users, strict=True)]
        assert await outcomes(attempts) == [None] * RIVALS
        assert (await read_all(storage)).users == users

    async def test_each_of_many_concurrent_commits_gets_its_own_outcome(self, storage: Storage) -> None:
        there, rivals = [a_full_user() for _ in range(RIVALS)], [a_user() for _ in range(RIVALS)]
        await add(storage, *there)
        new = [a_full_user() for _ in there]
        attempts: list[tuple[Awaitable[None], type[DomainError] | None]] = []
        for user, rival, unknown in zip(there, new, rivals, strict=True):
            attempts += [
                (add(storage, rival), None),
                (add(storage, a_user(email=user.email)), EmailTaken),
                (add(storage, a_post(unknown)), UserNotFound),
                (save(storage, renamed(user, "Renamed")), None),
                (save(storage, replace(renamed(user, "Late"), version=user.version + 3)), StaleVersion),
                (save(storage, renamed(unknown, "Nobody")), StaleVersion),
                (add(storage, a_post(user)), None),
            ]
        assert await outcomes([attempt for attempt, _ in attempts]) == [expected for _, expected in attempts]
        found = await read_all(storage)
        assert found.users == [*(renamed(user, "Renamed") for user in there), *new]
        assert {post.author_id for post in _posts(found)} == {user.id for user in there}

    async def test_one_of_many_rivals_gets_an_email(self, storage: Storage, clients: Sequence[Storage]) -> None:
        users = [a_user(email=an_email("ann@example.org")) for _ in clients]
        results = await outcomes([add(client, user) for client, user in zip(clients, users, strict=True)])
        winners = [user for user, result in zip(users, results, strict=True) if result is None]
        assert len(winners) == 1
        assert results.count(EmailTaken) == RIVALS - 1
        assert (await read_all(storage)).users == winners

    async def test_one_of_many_rivals_gets_a_username(self, storage: Storage, clients: Sequence[Storage]) -> None:
        users = [a_user(username=a_username("ann")) for _ in clients]
        results = await outcomes([add(client, user) for client, user in zip(clients, users, strict=True)])
        winners = [user for user, result in zip(users, results, strict=True) if result is None]
        assert len(winners) == 1
        assert results.count(UsernameTaken) == RIVALS - 1
        assert (await read_all(storage)).users == winners

    async def test_one_of_many_rivals_gets_an_id(self, storage: Storage, clients: Sequence[Storage]) -> None:
        users = [a_user(id=nth_user_id(1)) for _ in clients]
        results = await outcomes([add(client, user) for client, user in zip(clients, users, strict=True)])
        winners = [user for user, result in zip(users, results, strict=True) if result is None]
        assert len(winners) == 1
        assert results.count(IdTaken) == RIVALS - 1
        assert (await read_all(storage)).users == winners

    async def test_one_of_many_rivals_changes_to_an_email(self, storage: Storage, clients: Sequence[Storage]) -> None:
        users = [a_user() for _ in clients]
        await add(storage, *users)
        wanted = an_email("wanted@example.org")
        changed = [user.change(now=user.updated_at, email=wanted) for user in users]
        results = await outcomes([save(client, user) for client, user in zip(clients, changed, strict=True)])
        assert results.count(None) == 1
        assert results.count(EmailTaken) == RIVALS - 1
        owner = await storage.unit_of_work().users.find_by_email(wanted)
        assert owner == changed[results.index(None)]

    async def test_one_of_many_rivals_saves_a_version(self, storage: Storage, clients: Sequence[Storage]) -> None:
        user = a_user()
        await add(storage, user)
        states = [renamed(user, f"State {number}") for number, _ in enumerate(clients)]
        results = await outcomes([save(client, state) for client, state in zip(clients, states, strict=True)])
        assert results.count(None) == 1
        assert results.count(StaleVersion) == RIVALS - 1
        assert await stored_user(storage, user) == states[results.index(None)]

    async def test_one_of_many_rivals_removes_a_user(self, storage: Storage, clients: Sequence[Storage]) -> None:
        user = a_user()
        await add(storage, user, a_post(user), a_credential(user))
        results = await outcomes([remove(client, user) for client in clients])
        assert results.count(None) == 1
        assert results.count(StaleVersion) == RIVALS - 1
        assert (await read_all(storage)).users == []

    async def test_of_saves_and_removals_of_one_version_one_wins(
        self, storage: Storage, clients: Sequence[Storage]
    ) -> None:
        user = a_user()
        await add(storage, user)
        attempts = [
            remove(client, user) if number % 2 else save(client, renamed(user, f"State {number}"))
            for number, client in enumerate(clients)
        ]
        results = await outcomes(attempts)
        assert results.count(None) == 1
        assert results.count(StaleVersion) == RIVALS - 1
        removed = results.index(None) % 2 == 1
        assert (await stored_user(storage, user) is None) == removed

    async def test_a_conflict_of_some_is_no_trouble_for_the_others(
        self, storage: Storage, clients: Sequence[Storage]
    ) -> None:
        taken = a_user()
        await add(storage, taken)
        users = [a_user(email=taken.email) if number % 4 == 0 else a_user() for number, _ in enumerate(clients)]
        results = await outcomes([add(client, user) for client, user in zip(clients, users, strict=True)])
        assert results == [EmailTaken if number % 4 == 0 else None for number, _ in enumerate(clients)]
        added = [user for user, result in zip(users, results, strict=True) if result is None]
        assert (await read_all(storage)).users == [taken, *added]

    async def test_changes_that_are_repeated_until_they_win_are_all_there(
        self, storage: Storage, clients: Sequence[Storage]
    ) -> None:
        user = a_user()
        await add(storage, user)

        async def append_to_name(client: Storage, number: int) -> None:
            while True:
                found = await stored_user(client, user)
                assert found
                try:
                    return await save(client, renamed(found, f"{found.name}, {number}"))
                except StaleVersion:
                    continue

        await asyncio.gather(*(append_to_name(client, number) for number, client in enumerate(clients[:8])))
        found = await stored_user(storage, user)
        assert found
        assert sorted(found.name.split(", ")[1:]) == [str(number) for number in range(8)]
        assert found.version == 9

    async def test_commits_that_touch_the_same_users_in_opposite_order_stay_whole(
        self, storage: Storage, clients: Sequence[Storage]
    ) -> None:
        first, second = a_user(), a_user()
        await add(storage, first, second)

        async def rename_both(client: Storage, number: int) -> None:
            unit = client.unit_of_work()
            users = [user for user in [await unit.users.get(first.id), await unit.users.get(second.id)] if user]
            stage_save(unit, *(renamed(user, f"{number}") for user in users[:: 1 if number % 2 else -1]))
            await unit.commit()

        for round_ in range(3):
            attempts = [rename_both(client, round_ * RIVALS + number) for number, client in enumerate(clients)]
            assert set(await outcomes(attempts)) <= {None, StaleVersion, TooBusy}
        one, other = (await read_all(storage)).users
        assert one.name == other.name
        assert one.version == other.version > 1

    async def test_commits_that_touch_a_user_and_a_post_in_opposite_order_stay_whole(
        self, storage: Storage, clients: Sequence[Storage]
    ) -> None:
        user = a_user()
        post = a_post(user)
        await add(storage, user, post)

        async def rename_both(client: Storage, number: int) -> None:
            unit = client.unit_of_work()
            found_user, found_post = await unit.users.get(user.id), await unit.records(POSTS).get(post.id)
            assert found_user
            assert found_post
            changes = (renamed(found_user, f"{number}"), retitled(found_post, f"{number}"))
            stage_save(unit, *changes[:: 1 if number % 2 else -1])
            await unit.commit()

        for round_ in range(3):
            attempts = [rename_both(client, round_ * RIVALS + number) for number, client in enumerate(clients)]
            assert set(await outcomes(attempts)) <= {None, StaleVersion, TooBusy}
        found = await read_all(storage)
        assert [str(user.name) for user in found.users] == [str(post.title) for post in _posts(found)]
        assert found.users[0].version == found.records["posts"][0].version > 1

    async def test_a_reader_sees_all_of_a_commit_or_nothing(self, storage: Storage, another_client: Storage) -> None:
        first, second = a_user(name="0"), a_user(name="0")
        await add(storage, first, second)
        done = asyncio.Event()

        async def write() -> None:
            pair = [first, second]
            for number in range(1, 31):
                pair = [renamed(user, str(number)) for user in pair]
                await save(storage, *pair)
            done.set()

        async def watch() -> None:
            while not done.is_set():
                one, other = await another_client.unit_of_work().users.page(limit=2)
                assert one.name == other.name
                await asyncio.sleep(0)

        await asyncio.gather(write(), watch(), watch())

    async def test_nothing_is_seen_of_a_commit_of_many_that_fails(
        self, storage: Storage, another_client: Storage
    ) -> None:
        taken = a_user()
        await add(storage, taken)
        done = asyncio.Event()

        async def fail() -> None:
            for _ in range(3):
                with pytest.raises(EmailTaken):
                    await add(storage, *(a_user() for _ in range(60)), a_user(email=taken.email))
            done.set()

        async def watch() -> None:
            while not done.is_set():
                users = another_client.unit_of_work().users
                assert list(await users.page(limit=100)) == [taken]
                assert list(await users.page(limit=1, descending=True)) == [taken]  # though others would come first
                assert await users.count() == 1
                await asyncio.sleep(0)

        await asyncio.gather(fail(), watch())

    async def test_no_post_outlives_a_concurrently_removed_author(
        self, storage: Storage, clients: Sequence[Storage]
    ) -> None:
        for round_ in range(10):
            author = a_user()
            await add(storage, author)
            posts = [a_post(author) for _ in range(6)]
            attempts = [add(client, post) for client, post in zip(clients, posts, strict=False)]
            attempts.insert(round_ % 6, remove(clients[round_ % 2], author))
            results = list(await outcomes(attempts))
            assert results.pop(round_ % 6) is None
            assert set(results) <= {None, UserNotFound}
            assert [await stored(storage, post) for post in posts] == [None] * 6
            assert list(await storage.unit_of_work().records(POSTS).page(owner=author.id, limit=10)) == []

    async def test_no_credential_outlives_a_concurrently_removed_user(
        self, storage: Storage, clients: Sequence[Storage]
    ) -> None:
        for round_ in range(10):
            user = a_user()
            await add(storage, user)
            attempts = [add(client, a_credential(user)) for client in clients[:6]]
            attempts.insert(round_ % 6, remove(clients[round_ % 2], user))
            results = list(await outcomes(attempts))
            assert results.pop(round_ % 6) is None
            assert set(results) <= {None, UserNotFound, IdTaken}
            assert await stored_credential(storage, user) is None

    async def test_each_of_many_concurrent_reads_gets_its_own_answer(self, storage: Storage) -> None:
        users: list[User] = [a_full_user() for _ in range(100)]
        posts = [a_post(user) for user in users]
        await add(storage, *users[::2], *posts[::2])
        found = await asyncio.gather(*(stored_user(storage, user) for user in users + users))
        known = [user if number % 2 == 0 else None for number, user in enumerate(users)]
        assert found == known + known
        found_posts = await asyncio.gather(*(stored(storage, post) for post in posts))
        assert found_posts == [post if number % 2 == 0 else None for number, post in enumerate(posts)]
        emails = await asyncio.gather(*(storage.unit_of_work().users.find_by_email(user.email) for user in users))
        assert emails == known

    async def test_commits_that_are_cancelled_are_whole_or_not_at_all_and_harm_no_other(
        self, storage: Storage, clients: Sequence[Storage]
    ) -> None:
        users = [a_user() for _ in clients]
        tasks = [
            asyncio.create_task(add(client, user, a_post(user), a_credential(user)))
            for client, user in zip(clients, users, strict=True)
        ]
        for turn, task in enumerate(tasks[::2]):
            for _ in range(turn):
                await asyncio.sleep(0)
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert results[1::2] == [None] * (RIVALS // 2)
        for user, result in zip(users, results, strict=True):
            # A cancelled commit may still be running, so related records are read in an order in which the first
            # implies the next.
            before = await stored_user(storage, user)
            posts = await storage.unit_of_work().records(POSTS).count(owner=user.id)
            credential = await stored_credential(storage, user)
            after = await stored_user(storage, user)
            assert before == user or result is not None
            assert (posts == 1 and credential is not None) or before is None
            assert after == user or (posts == 0 and credential is None)


def _posts(found: StorageContents) -> Sequence[Post]:
    return [post for post in found.records[POSTS.name] if isinstance(post, Post)]
