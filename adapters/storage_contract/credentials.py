import pytest

from adapters.storage_contract.examples import a_credential, a_user
from adapters.storage_contract.steps import add, assert_same, everything, stored_credential
from domain.credential import Credential
from domain.errors import UserNotFound
from domain.storage import Storage


class CredentialCases:
    """A user has at most one credential, the last that was put."""

    async def test_a_credential_comes_back(self, storage: Storage) -> None:
        ann, ben = a_user(), a_user()
        of_ann, of_ben = a_credential(ann), a_credential(ben)
        await add(storage, ann, ben, of_ann, of_ben)
        assert_same(await stored_credential(storage, ann), of_ann)
        assert_same(await stored_credential(storage, ben), of_ben)

    async def test_a_long_hash_of_odd_characters_comes_back(self, storage: Storage) -> None:
        user = a_user()
        credential = Credential(user.id, "$argon2id$v=19$" + "aB/+=,'\"\\%_ " * 40)
        await add(storage, user, credential)
        assert_same(await stored_credential(storage, user), credential)

    async def test_a_user_without_a_credential_has_none(self, storage: Storage) -> None:
        user = a_user()
        await add(storage, user)
        assert await stored_credential(storage, user) is None

    async def test_a_second_credential_takes_the_place_of_the_first(self, storage: Storage) -> None:
        user, bystander = a_user(), a_user()
        kept, second = a_credential(bystander), a_credential(user)
        await add(storage, user, bystander, a_credential(user), kept)
        await add(storage, second)
        assert await stored_credential(storage, user) == second
        assert await stored_credential(storage, bystander) == kept

    async def test_of_two_credentials_in_one_unit_of_work_the_last_one_stays(self, storage: Storage) -> None:
        user = a_user()
        last = a_credential(user)
        await add(storage, user, a_credential(user), last)
        assert await stored_credential(storage, user) == last

    async def test_putting_the_same_credential_again_is_fine(self, storage: Storage) -> None:
        user = a_user()
        credential = a_credential(user)
        await add(storage, user, credential)
        await add(storage, credential)
        assert await stored_credential(storage, user) == credential

    async def test_a_credential_needs_a_user(self, storage: Storage) -> None:
        user = a_user()
        with pytest.raises(UserNotFound):
            await add(storage, a_credential(user))
        await add(storage, user)
        assert (await everything(storage)).credentials == []
