from adapters.storage_contract.examples import a_full_user, a_user, an_email
from adapters.storage_contract.steps import add, ids_of
from domain.storage import Storage
from domain.values import Email


class EmailLookupCases:
    """Many users are found by their emails in one round trip."""

    async def test_only_those_who_were_asked_for_are_found(self, storage: Storage) -> None:
        users = [a_full_user() for _ in range(5)]
        await add(storage, *users)
        found = await storage.unit_of_work().users.find_by_emails([users[3].email, users[1].email])
        assert sorted(ids_of(found)) == [users[1].id, users[3].id]

    async def test_unused_emails_find_no_user(self, storage: Storage) -> None:
        user = a_user()
        await add(storage, user)
        found = await storage.unit_of_work().users.find_by_emails([an_email("unknown"), user.email, an_email("none")])
        assert list(found) == [user]

    async def test_no_emails_find_no_users(self, storage: Storage) -> None:
        await add(storage, a_user())
        assert list(await storage.unit_of_work().users.find_by_emails([])) == []
        assert list(await storage.unit_of_work().users.find_by_emails(set())) == []

    async def test_an_email_asked_for_twice_finds_its_owner_once(self, storage: Storage) -> None:
        user = a_full_user()
        await add(storage, user)
        otherwise = Email("WRITTEN@OTHERWISE", user.email.canonical)
        assert list(await storage.unit_of_work().users.find_by_emails([user.email, user.email, otherwise])) == [user]

    async def test_a_thousand_emails_can_be_asked_for(self, storage: Storage) -> None:
        users = [a_full_user() for _ in range(200)]
        await add(storage, *users)
        emails = [user.email for user in users] + [an_email(f"unknown.{number}") for number in range(800)]
        found = await storage.unit_of_work().users.find_by_emails(emails)
        assert sorted(found, key=lambda user: user.id) == users
