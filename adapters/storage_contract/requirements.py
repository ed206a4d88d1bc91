import asyncio
from dataclasses import replace

import pytest

from adapters.storage_contract.examples import LATER, a_credential, a_full_user, a_session, a_user, renamed
from adapters.storage_contract.steps import add, outcomes, read_all, remove, save
from adapters.storage_contract.versions import DISTANCES
from domain.credential import CREDENTIALS, Credential
from domain.errors import StaleVersion, TooBusy
from domain.session import SESSIONS
from domain.storage import Storage
from domain.user import User


async def save_requiring(storage: Storage, saved: User, required: User) -> None:
    unit = storage.unit_of_work()
    unit.users.require(required)
    unit.users.save(saved)
    await unit.commit()


class RequirementCases:
    """A commit applies only if its requirements hold at that moment."""

    async def test_a_commit_that_requires_a_user_at_their_version_applies(self, storage: Storage) -> None:
        user, other = a_full_user(), a_user()
        await add(storage, user, other)
        await save_requiring(storage, renamed(other, "Renamed"), user)
        assert (await read_all(storage)).users == [user, renamed(other, "Renamed")]

    async def test_a_commit_that_requires_a_user_at_another_version_is_stale(self, storage: Storage) -> None:
        user, other = a_full_user(), a_user()
        await add(storage, user, other)
        for distance in DISTANCES:
            off = replace(user, version=user.version + distance)
            with pytest.raises(StaleVersion):
                await save_requiring(storage, renamed(other, "Renamed"), off)
        assert (await read_all(storage)).users == [user, other]

    async def test_a_user_who_is_gone_cannot_be_required(self, storage: Storage) -> None:
        gone, other = a_user(), a_user()
        await add(storage, gone, other)
        await remove(storage, gone)
        with pytest.raises(StaleVersion):
            await save_requiring(storage, renamed(other, "Renamed"), gone)
        assert (await read_all(storage)).users == [other]

    async def test_a_commit_that_only_requires_changes_nothing(self, storage: Storage) -> None:
        user = a_full_user()
        credential = a_credential(user)
        await add(storage, user, credential)
        before = await read_all(storage)
        unit = storage.unit_of_work()
        unit.users.require(user)
        unit.records(CREDENTIALS).require(credential)
        await unit.commit()
        assert await read_all(storage) == before
        await save(storage, renamed(user, "Renamed"))  # it is still at the same version

    async def test_a_required_user_can_be_given_a_session_in_the_same_commit(self, storage: Storage) -> None:
        user = a_user()
        credential, session = a_credential(user), a_session(user)
        await add(storage, user, credential)
        unit = storage.unit_of_work()
        unit.users.require(user)
        unit.records(CREDENTIALS).require(credential)
        unit.records(SESSIONS).add(session)
        await unit.commit()
        assert (await read_all(storage)).records["sessions"] == [session]

    async def test_of_two_users_who_require_each_other_one_at_most_is_saved(
        self, storage: Storage, another_client: Storage
    ) -> None:
        for _ in range(10):
            ann, ben = a_user(), a_user()
            await add(storage, ann, ben)
            results = await outcomes(
                [
                    save_requiring(storage, renamed(ann, "Without Ben"), ben),
                    save_requiring(another_client, renamed(ben, "Without Ann"), ann),
                ]
            )
            assert results.count(None) <= 1
            assert set(results) <= {None, StaleVersion, TooBusy}
            users = storage.unit_of_work().users
            found = [await users.get(ann.id), await users.get(ben.id)]
            assert sum(user not in (ann, ben) for user in found) == results.count(None)

    async def test_no_session_begins_while_its_user_is_disabled(
        self, storage: Storage, another_client: Storage
    ) -> None:
        for _ in range(10):
            user = a_user()
            await add(storage, user)

            async def sign_in(user: User = user) -> None:
                unit = storage.unit_of_work()
                unit.users.require(user)
                unit.records(SESSIONS).add(a_session(user))
                await unit.commit()

            results = await asyncio.gather(
                sign_in(),
                save(another_client, user.change(now=LATER, active=False)),
                return_exceptions=True,
            )
            assert results[1] is None
            # The session began before the user became inactive, or not at all.
            began = len(await storage.unit_of_work().records(SESSIONS).page(owner=user.id, limit=1_000))
            assert began == (results[0] is None)
            assert results[0] is None or isinstance(results[0], StaleVersion)

    async def test_no_session_begins_with_a_credential_that_is_being_replaced(
        self, storage: Storage, another_client: Storage
    ) -> None:
        for _ in range(10):
            user = a_user()
            old = a_credential(user)
            await add(storage, user, old)

            async def sign_in(user: User = user, old: Credential = old) -> None:
                unit = storage.unit_of_work()
                unit.records(CREDENTIALS).require(old)
                unit.records(SESSIONS).add(a_session(user))
                await unit.commit()

            async def change_password(user: User = user, old: Credential = old) -> int:
                await save(another_client, old.change("$argon2id$another"))
                return len(await another_client.unit_of_work().records(SESSIONS).page(owner=user.id, limit=1_000))

            signed_in, seen = await asyncio.gather(sign_in(), change_password(), return_exceptions=True)
            began = len(await storage.unit_of_work().records(SESSIONS).page(owner=user.id, limit=1_000))
            assert signed_in is None or isinstance(signed_in, StaleVersion)
            # A client that replaces a credential sees every session that began with the old one.
            assert began == seen == (signed_in is None)
