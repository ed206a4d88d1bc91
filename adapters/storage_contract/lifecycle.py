import asyncio

from adapters.storage_contract.examples import a_credential, a_full_user, a_post
from adapters.storage_contract.steps import add, read_all
from domain.storage import Storage


class LifecycleCases:
    """A storage can be prepared repeatedly, pinged, and closed."""

    async def test_a_prepared_storage_answers(self, storage: Storage, another_client: Storage) -> None:
        await storage.ping()
        await another_client.ping()

    async def test_preparing_again_keeps_what_is_there(self, storage: Storage) -> None:
        user = a_full_user()
        await add(storage, user, a_post(user), a_credential(user))
        before = await read_all(storage)
        await storage.prepare()
        await storage.prepare()
        assert await read_all(storage) == before

    async def test_preparing_by_several_at_once_keeps_what_is_there(
        self, storage: Storage, another_client: Storage
    ) -> None:
        user = a_full_user()
        await add(storage, user)
        await asyncio.gather(*(client.prepare() for client in (storage, another_client) * 3))
        assert (await read_all(another_client)).users == [user]

    async def test_a_storage_can_be_closed_twice(self, storage: Storage, another_client: Storage) -> None:
        await another_client.ping()
        await another_client.close()
        await another_client.close()

    async def test_a_storage_serves_while_it_is_prepared_again(self, storage: Storage, another_client: Storage) -> None:
        users = [a_full_user() for _ in range(10)]
        await asyncio.gather(another_client.prepare(), *(add(storage, user) for user in users))
        assert (await read_all(storage)).users == users
