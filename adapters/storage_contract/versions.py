from dataclasses import replace

import pytest

from adapters.storage_contract.examples import LATER, a_credential, a_full_user, a_post, a_user, renamed
from adapters.storage_contract.steps import add, read_all, remove, save, stage_save
from domain.errors import EmailTaken, StaleVersion
from domain.storage import Storage

# The difference between the version that a write is based on and the stored one.
DISTANCES = (-2, -1, 1, 2)


class VersionCases:
    """A write based on another version than the stored one changes nothing."""

    async def test_a_user_is_saved_only_over_the_version_that_was_read(self, storage: Storage) -> None:
        user = a_full_user()
        await add(storage, user, a_user())
        before = await read_all(storage)
        for distance in DISTANCES:
            with pytest.raises(StaleVersion):
                await save(storage, replace(renamed(user, "Renamed"), version=user.version + 1 + distance))
        assert await read_all(storage) == before

    async def test_a_user_is_removed_only_at_the_version_that_was_read(self, storage: Storage) -> None:
        user = a_full_user()
        await add(storage, user, a_post(user), a_credential(user))
        before = await read_all(storage)
        for distance in DISTANCES:
            with pytest.raises(StaleVersion):
                await remove(storage, replace(user, version=user.version + distance))
        assert await read_all(storage) == before

    async def test_of_several_saves_of_a_user_in_one_commit_each_change_is_kept(self, storage: Storage) -> None:
        user = a_full_user()
        await add(storage, user)
        unit = storage.unit_of_work()
        read = await unit.users.get(user.id)
        assert read is not None
        last = replace(renamed(read, "Renamed"), bio=None, version=read.version + 2)
        stage_save(unit, renamed(read, "Renamed"), last)
        await unit.commit()
        assert (await read_all(storage)).users == [last]

    async def test_each_save_in_a_commit_is_over_the_version_before_it(self, storage: Storage) -> None:
        """That the last one has the version to be expected after two saves is not enough."""
        user = a_user()
        await add(storage, user)
        third = renamed(renamed(user, "Second"), "Third")
        unit = storage.unit_of_work()
        stage_save(unit, third, third)
        with pytest.raises(StaleVersion):
            await unit.commit()
        assert (await read_all(storage)).users == [user]

    async def test_of_several_writes_in_error_the_first_decides(self, storage: Storage) -> None:
        ann, bob = a_full_user(), a_full_user()
        await add(storage, ann, bob)
        stale = renamed(renamed(ann, "Second"), "Third")
        taken = bob.change(now=LATER, email=ann.email)
        with pytest.raises(StaleVersion):
            await save(storage, stale, taken)
        with pytest.raises(EmailTaken):
            await save(storage, taken, stale)
        assert set((await read_all(storage)).users) == {ann, bob}

    async def test_a_second_save_over_the_same_version_is_stale(self, storage: Storage) -> None:
        user = a_user()
        await add(storage, user)
        await save(storage, renamed(user, "First"))
        with pytest.raises(StaleVersion):
            await save(storage, renamed(user, "Second"))
        assert (await read_all(storage)).users == [renamed(user, "First")]

    async def test_the_same_save_twice_is_stale_although_nothing_would_differ(self, storage: Storage) -> None:
        user = a_user()
        await add(storage, user)
        await save(storage, renamed(user, "Renamed"))
        with pytest.raises(StaleVersion):
            await save(storage, renamed(user, "Renamed"))

    async def test_a_user_who_changed_concurrently_is_not_removed(self, storage: Storage) -> None:
        user = a_user()
        await add(storage, user)
        await save(storage, renamed(user, "Renamed"))
        with pytest.raises(StaleVersion):
            await remove(storage, user)
        assert (await read_all(storage)).users == [renamed(user, "Renamed")]

    async def test_a_user_who_is_not_there_can_be_neither_saved_nor_removed(self, storage: Storage) -> None:
        user = a_user()
        for attempt in (save(storage, renamed(user, "Renamed")), save(storage, user), remove(storage, user)):
            with pytest.raises(StaleVersion):
                await attempt
        assert (await read_all(storage)).users == []

    async def test_a_user_who_was_removed_can_be_neither_saved_nor_removed(self, storage: Storage) -> None:
        user = a_user()
        await add(storage, user)
        await remove(storage, user)
        for attempt in (save(storage, renamed(user, "Renamed")), remove(storage, user)):
            with pytest.raises(StaleVersion):
                await attempt
        assert (await read_all(storage)).users == []

    async def test_versions_go_up_save_by_save(self, storage: Storage) -> None:
        user = a_user()
        await add(storage, user)
        for number in range(5):
            changed = renamed(user, f"Name {number}")
            await save(storage, changed)
            user = changed
        assert (await read_all(storage)).users == [user]
        assert user.version == 6
