from typing import ClassVar

from adapters.storage_contract.examples import a_credential, a_user
from adapters.storage_contract.steps import add, everything
from domain.storage import Storage
from tests.servers.choice import Kind
from tests.storage.served_contract import ServedStorageContract


class TestDynamoDBStorage(ServedStorageContract):
    kind: ClassVar[Kind] = "dynamodb"

    async def test_more_credentials_than_a_transaction_holds_go_in_one_commit(self, storage: Storage) -> None:
        users = [a_user() for _ in range(60)]
        credentials = [a_credential(user) for user in users]
        await add(storage, *users)
        await add(storage, *credentials)
        assert (await everything(storage)).credentials == credentials
