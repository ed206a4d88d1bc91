from dataclasses import replace
from datetime import timedelta
from itertools import cycle

import pytest

from adapters.storage_contract.examples import LATER, a_user, some_failures
from adapters.storage_contract.steps import add, assert_same, outcomes, remove, save, stored_failures, stored_user
from adapters.storage_contract.versions import DISTANCES
from domain.errors import IdTaken, StaleVersion
from domain.sign_in_failures import SignInFailures
from domain.storage import Storage

RIVALS = 20


def one_more(failures: SignInFailures) -> SignInFailures:
    return failures.one_more(failures.expires_at, most=5)


class SignInFailureCases:
    """Failures are counted by all processes together, and can be found once they have expired."""

    async def test_failures_come_back_with_every_field(self, storage: Storage) -> None:
        failures, others = some_failures(), some_failures()
        await add(storage, failures, others)
        assert_same(await stored_failures(storage, failures), failures)
        assert_same(await stored_failures(storage, others), others)

    async def test_a_hundred_moments_come_back(self, storage: Storage) -> None:
        failures = some_failures()
        failures = replace(failures, moments=tuple(LATER - timedelta(seconds=nth) for nth in range(100)), version=2**33)
        await add(storage, failures)
        assert_same(await stored_failures(storage, failures), failures)

    async def test_no_failures_come_back_as_none(self, storage: Storage) -> None:
        failures = replace(some_failures(), moments=())
        await add(storage, failures)
        assert_same(await stored_failures(storage, failures), failures)
        assert await stored_failures(storage, some_failures()) is None

    async def test_failures_are_added_once_for_a_key(self, storage: Storage) -> None:
        failures = some_failures()
        await add(storage, failures)
        with pytest.raises(IdTaken):
            await add(storage, some_failures(key=failures.key))
        assert await stored_failures(storage, failures) == failures

    @DISTANCES
    async def test_failures_are_saved_and_removed_only_at_the_version_that_was_read(
        self, storage: Storage, distance: int
    ) -> None:
        failures = replace(some_failures(), version=5)
        await add(storage, failures)
        off = replace(failures, version=failures.version + distance)
        for attempt in (save(storage, one_more(off)), remove(storage, off)):
            with pytest.raises(StaleVersion):
                await attempt
        assert await stored_failures(storage, failures) == failures

    async def test_failures_that_are_not_there_can_be_neither_saved_nor_removed(self, storage: Storage) -> None:
        failures = some_failures()
        for attempt in (save(storage, one_more(failures)), remove(storage, failures)):
            with pytest.raises(StaleVersion):
                await attempt
        assert await stored_failures(storage, failures) is None

    async def test_a_commit_counts_failures_of_several_keys_or_of_none(self, storage: Storage) -> None:
        account, address = some_failures(), some_failures()
        await add(storage, account, address)
        with pytest.raises(StaleVersion):
            await save(storage, one_more(account), one_more(replace(address, version=7)))
        assert await stored_failures(storage, account) == account
        await save(storage, one_more(account), one_more(address))
        assert await stored_failures(storage, account) == one_more(account)
        assert await stored_failures(storage, address) == one_more(address)

    async def test_one_of_many_rivals_counts_first(self, storage: Storage, another_client: Storage) -> None:
        clients = cycle((storage, another_client))
        key = some_failures().key
        new = [some_failures(key=key) for _ in range(RIVALS)]
        results = await outcomes([add(client, failures) for client, failures in zip(clients, new, strict=False)])
        assert sorted(map(str, results)) == sorted(map(str, [None, *[IdTaken] * (RIVALS - 1)]))
        first = new[results.index(None)]
        states = [replace(one_more(first), expires_at=LATER + timedelta(seconds=nth)) for nth in range(RIVALS)]
        results = await outcomes([save(client, state) for client, state in zip(clients, states, strict=False)])
        assert sorted(map(str, results)) == sorted(map(str, [None, *[StaleVersion] * (RIVALS - 1)]))
        assert await stored_failures(storage, first) == states[results.index(None)]

    async def test_those_are_found_that_have_expired(self, storage: Storage) -> None:
        before, at, after = (some_failures(expires_at=LATER + timedelta(milliseconds=nth)) for nth in (-1, 0, 1))
        await add(storage, after, before, at)
        repository = storage.unit_of_work().sign_in_failures
        found = list(await repository.expired(LATER, limit=10))
        assert sorted(found, key=lambda failures: failures.key) == [before, at]
        assert len(list(await repository.expired(LATER, limit=1))) == 1
        assert list(await repository.expired(LATER - timedelta(seconds=1), limit=10)) == []

    async def test_those_that_fail_again_expire_later(self, storage: Storage) -> None:
        failures = some_failures(expires_at=LATER)
        await add(storage, failures)
        later = replace(failures, version=2, expires_at=LATER + timedelta(minutes=1))
        await save(storage, later)
        repository = storage.unit_of_work().sign_in_failures
        assert list(await repository.expired(LATER, limit=10)) == []
        assert list(await repository.expired(LATER + timedelta(minutes=1), limit=10)) == [later]

    async def test_those_that_were_removed_are_not_found_and_may_be_added_again(self, storage: Storage) -> None:
        failures, kept = some_failures(), some_failures()
        await add(storage, failures, kept)
        await remove(storage, failures)
        assert await stored_failures(storage, failures) is None
        repository = storage.unit_of_work().sign_in_failures
        for limit in (1, 10):
            assert list(await repository.expired(LATER, limit=limit)) == [kept]
        await add(storage, failures)
        assert await stored_failures(storage, failures) == failures

    async def test_failures_belong_to_no_user(self, storage: Storage) -> None:
        user, failures = a_user(), some_failures()
        await add(storage, failures, user)
        await remove(storage, user)
        assert await stored_failures(storage, failures) == failures
        assert await stored_user(storage, user) is None
