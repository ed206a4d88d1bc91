import asyncio
from typing import ClassVar

import pytest

from adapters.storage_contract.examples import a_credential, a_user
from adapters.storage_contract.steps import add, everything
from domain.errors import EmailTaken
from domain.storage import Storage
from domain.values import SearchPrefix
from tests.servers.choice import Kind
from tests.storage.served_contract import ServedStorageContract

PATIENCE_SECONDS = 30


class TestDynamoDBStorage(ServedStorageContract):
    kind: ClassVar[Kind] = "dynamodb"

    async def test_more_credentials_than_a_transaction_holds_go_in_one_commit(self, storage: Storage) -> None:
        users = [a_user() for _ in range(60)]
        credentials = [a_credential(user) for user in users]
        await add(storage, *users)
        await add(storage, *credentials)
        assert (await everything(storage)).credentials == credentials

    async def test_a_commit_of_many_that_failed_is_in_nobodys_way(self, storage: Storage) -> None:
        taken = a_user()
        users = [a_user() for _ in range(60)]
        await add(storage, taken)
        with pytest.raises(EmailTaken):
            await add(storage, *users, a_user(email=taken.email))
        async with asyncio.timeout(PATIENCE_SECONDS):
            await add(storage, *users)

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

        await asyncio.gather(fail(), watch())

    async def test_what_is_searched_for_may_be_longer_than_a_key(self, storage: Storage) -> None:
        await add(storage, a_user())
        prefix = SearchPrefix.parse("\U0001d164" * SearchPrefix.LONGEST)  # a note that folds to three parts
        assert list(await storage.unit_of_work().users.search(prefix, limit=10)) == []
        assert await storage.unit_of_work().users.count(prefix) == 0
