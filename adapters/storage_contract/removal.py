import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import pytest

from adapters.storage_contract.examples import (
    LATER,
    a_credential,
    a_full_session,
    a_full_user,
    a_post,
    a_prefix,
    a_record,
    a_session,
    a_user,
    retitled,
)
from adapters.storage_contract.samples import CONTRACT_TYPES
from adapters.storage_contract.steps import (
    StorageContents,
    add,
    read_all,
    remove,
    save,
    stored,
    stored_credential,
    stored_user,
)
from domain.errors import IdTaken, StaleVersion, TooBusy, UserNotFound
from domain.post import POSTS, Post
from domain.session import SESSIONS, Session
from domain.storage import Storage
from domain.user import User
from domain.values import Name

MANY: Final = 1_100
PURGE_SECONDS: Final = 60


class RemovalCases:
    """No data of a removed user can be found."""

    async def test_a_removed_user_is_not_found_by_anything(self, storage: Storage) -> None:
        user = a_full_user()
        assert user.username
        await add(storage, user)
        await remove(storage, user)
        users = storage.unit_of_work().users
        assert await users.get(user.id) is None
        assert await users.find_by_email(user.email) is None
        assert await users.find_by_username(user.username) is None
        assert list(await users.find_by_emails([user.email])) == []
        assert list(await users.page(limit=10)) == []
        assert await users.count() == 0
        for key in user.search_keys:
            assert list(await users.search(a_prefix(key), limit=10)) == []
            assert await users.count(a_prefix(key)) == 0

    async def test_everything_that_a_user_owns_goes_with_them(self, storage: Storage) -> None:
        user = a_user()
        ownerless = [a_record(record_type, user) for record_type in CONTRACT_TYPES if record_type.owner is None]
        owned = [a_record(record_type, user) for record_type in CONTRACT_TYPES if record_type.owner]
        posts = [a_post(user) for _ in range(30)]
        sessions = [a_session(user) for _ in range(Session.MAX_PER_USER)]
        await add(storage, user, *ownerless, *owned, *posts, *sessions)
        await remove(storage, user)
        for record in (*owned, *posts, *sessions):
            assert await stored(storage, record) is None
        assert await read_all(storage) == StorageContents.of(*ownerless)

    async def test_nothing_of_other_users_goes_along(self, storage: Storage) -> None:
        user, other = a_full_user(), a_full_user()
        post, credential, session = a_post(other), a_credential(other), a_full_session(other)
        await add(storage, user, other, a_post(user), post, a_credential(user), credential, a_session(user), session)
        await remove(storage, user)
        assert await read_all(storage) == StorageContents.of(other, post, credential, session)

    async def test_a_user_who_was_changed_is_removed_as_wholly(self, storage: Storage) -> None:
        user = a_full_user()
        changed = user.change(now=LATER, name=Name("Changed"))
        post, session = a_post(user), a_session(user)
        await add(storage, user, post, a_credential(user), session)
        await save(storage, changed)
        await remove(storage, changed)
        assert await stored(storage, session) is None
        assert await stored_user(storage, user) is None
        assert await stored(storage, post) is None
        assert await stored_credential(storage, user) is None

    async def test_a_user_who_is_added_again_has_nothing_from_before(self, storage: Storage) -> None:
        user = a_full_user()
        post, session = a_post(user), a_session(user)
        await add(storage, user, post, a_credential(user), session)
        await remove(storage, user)
        await add(storage, user)
        assert await read_all(storage) == StorageContents.of(user)
        await add(storage, post, session)  # their ids are free again, too
        assert await stored(storage, post) == post
        assert await stored(storage, session) == session

    async def test_a_user_with_many_records_is_gone_with_all_of_them_at_the_commit(
        self, storage: Storage, another_client: Storage
    ) -> None:
        doomed, other = a_full_user(), a_full_user()
        posts, kept = await self._fill(storage, doomed, other)
        await remove(storage, doomed)
        for client in (storage, another_client):
            # First, since a store may delete these records soon.
            with pytest.raises(StaleVersion):
                await save(client, retitled(posts[-1], "Retitled"))
            with pytest.raises(StaleVersion):
                await remove(client, posts[-2])
            await self._assert_gone(client, doomed, posts, StorageContents.of(other, kept))
            with pytest.raises(UserNotFound):
                await add(client, a_post(doomed))
        next_owner = replace(a_user(), email=doomed.email, username=doomed.username)
        await add(another_client, next_owner)
        await remove(another_client, next_owner)
        await self._assert_added_again(storage, doomed, posts)

    async def test_a_removal_that_is_interrupted_is_finished_by_another_client(
        self, storage: Storage, another_client: Storage
    ) -> None:
        doomed, other = a_full_user(), a_full_user()
        posts, kept = await self._fill(storage, doomed, other)
        await remove(storage, doomed)
        await storage.close()
        await self._assert_gone(another_client, doomed, posts, StorageContents.of(other, kept))
        await self._assert_added_again(another_client, doomed, posts)

    @staticmethod
    async def _fill(storage: Storage, doomed: User, other: User) -> tuple[Sequence[Post], Post]:
        """Add a user with more records than the commit of a removal deletes, and another one with one record."""
        posts, kept = [a_post(doomed) for _ in range(MANY)], a_post(other)
        await add(storage, doomed, other, kept, a_credential(doomed), *(a_session(doomed) for _ in range(5)))
        for start in range(0, MANY, 300):
            await add(storage, *posts[start : start + 300])
        return posts, kept

    @staticmethod
    async def _assert_gone(storage: Storage, doomed: User, posts: Sequence[Post], expected: StorageContents) -> None:
        unit = storage.unit_of_work()
        assert list(await unit.records(POSTS).page(owner=doomed.id, limit=5)) == []
        assert await read_all(storage) == expected
        assert await unit.users.find_by_email(doomed.email) is None
        assert await stored_credential(storage, doomed) is None
        for record_type in CONTRACT_TYPES:
            assert await unit.records(record_type).count() == len(expected.records[record_type.name])
        assert await unit.records(POSTS).count(owner=doomed.id) == 0
        assert list(await unit.records(POSTS).page(owner=doomed.id, limit=5, skip=1, descending=True)) == []
        assert list(await unit.records(SESSIONS).due(LATER, limit=5)) == []
        for post in (posts[0], posts[MANY // 2], posts[-1]):
            assert await stored(storage, post) is None

    @staticmethod
    async def _assert_added_again(storage: Storage, user: User, posts: Sequence[Post]) -> None:
        """Add the user and some posts again under their ids, once the store has deleted the old records."""
        async with asyncio.timeout(PURGE_SECONDS):
            while True:
                try:
                    await add(storage, user, *posts[:: MANY // 10])
                except (TooBusy, IdTaken):
                    await asyncio.sleep(0.05)
                else:
                    break
        assert list(await storage.unit_of_work().records(POSTS).page(owner=user.id, limit=MANY)) == posts[:: MANY // 10]
