from collections.abc import MutableSequence
from dataclasses import FrozenInstanceError, replace
from datetime import timedelta

import pytest

from adapters.storage_contract.examples import LATER, a_full_user, a_user, a_username, an_email, nth_user_id
from adapters.storage_contract.steps import add, assert_same, save, stored_user
from domain.storage import Storage
from domain.user import Role, User
from domain.values import Bio, Email, Name, SearchPrefix, UserId, Username


class UserCases:
    """Users are restored exactly."""

    async def test_a_user_comes_back_by_id_with_every_field(self, storage: Storage) -> None:
        user = a_full_user()
        await add(storage, a_full_user(), user, a_full_user())
        assert_same(await stored_user(storage, user), user)

    async def test_a_user_comes_back_by_email_with_every_field(self, storage: Storage) -> None:
        user = a_full_user()
        await add(storage, a_full_user(), user, a_full_user())
        assert_same(await storage.unit_of_work().users.find_by_email(user.email), user)

    async def test_a_user_comes_back_by_username_with_every_field(self, storage: Storage) -> None:
        user = a_full_user()
        assert user.username
        await add(storage, a_full_user(), user, a_full_user())
        assert_same(await storage.unit_of_work().users.find_by_username(user.username), user)

    async def test_a_user_comes_back_in_every_listing_with_every_field(self, storage: Storage) -> None:
        user = a_full_user()
        await add(storage, user)
        users = storage.unit_of_work().users
        for listing in (
            await users.page(limit=1),
            await users.search(SearchPrefix("anna"), limit=1),
            await users.find_by_emails([user.email]),
        ):
            assert len(listing) == 1
            assert_same(listing[0], user)

    async def test_a_user_with_no_more_than_the_required_fields_comes_back(self, storage: Storage) -> None:
        user = a_user()
        assert (user.username, user.bio) == (None, None)
        await add(storage, user)
        assert_same(await stored_user(storage, user), user)

    async def test_an_empty_bio_is_not_the_same_as_none(self, storage: Storage) -> None:
        empty, none = a_user(bio=""), a_user()
        await add(storage, empty, none)
        assert_same(await stored_user(storage, empty), empty)
        assert_same(await stored_user(storage, none), none)

    @pytest.mark.parametrize("role", Role)
    @pytest.mark.parametrize("active", [True, False])
    async def test_role_and_active_come_back(self, storage: Storage, role: Role, active: bool) -> None:
        user = replace(a_user(), role=role, active=active)
        await add(storage, user)
        assert_same(await stored_user(storage, user), user)

    @pytest.mark.parametrize("verified", [True, False])
    async def test_whether_an_email_is_verified_comes_back(self, storage: Storage, verified: bool) -> None:
        user = replace(a_user(), email_verified=verified)
        await add(storage, user)
        assert_same(await stored_user(storage, user), user)

    async def test_versions_beyond_32_bits_come_back(self, storage: Storage) -> None:
        user = replace(a_user(), version=2**33)
        await add(storage, user)
        await save(storage, replace(user, version=2**33 + 1))
        assert_same(await stored_user(storage, user), replace(user, version=2**33 + 1))

    async def test_saving_replaces_every_field(self, storage: Storage) -> None:
        before, bystander = a_full_user(), a_full_user()
        await add(storage, before, bystander)
        after = User(
            id=before.id,
            email=Email("Else@example.com", "else@example.com"),
            name=Name("Somebody Else"),
            username=Username("Else", "else"),
            bio=Bio("Moved."),
            role=Role.MEMBER,
            active=True,
            email_verified=False,
            version=before.version + 1,
            created_at=before.created_at + timedelta(hours=1),
            updated_at=LATER,
        )
        await save(storage, after)
        assert_same(await stored_user(storage, before), after)
        assert_same(await stored_user(storage, bystander), bystander)

    async def test_saving_can_clear_what_is_optional(self, storage: Storage) -> None:
        before = a_full_user()
        await add(storage, before)
        after = before.change(now=LATER, username=None, bio=None)
        await save(storage, after)
        assert_same(await stored_user(storage, before), after)

    async def test_saving_can_fill_what_is_optional(self, storage: Storage) -> None:
        before = a_user()
        await add(storage, before)
        after = before.change(now=LATER, username=a_username("ann"), bio=Bio("Here."))
        await save(storage, after)
        assert_same(await stored_user(storage, before), after)

    async def test_lookups_follow_a_change_of_email_and_username(self, storage: Storage) -> None:
        before = a_user(email=an_email("old@example.org"), username=a_username("old"))
        await add(storage, before)
        after = before.change(now=LATER, email=an_email("new@example.org"), username=a_username("new"))
        await save(storage, after)
        users = storage.unit_of_work().users
        assert await users.find_by_email(an_email("old@example.org")) is None
        assert await users.find_by_username(a_username("old")) is None
        assert await users.find_by_email(an_email("new@example.org")) == after
        assert await users.find_by_username(a_username("new")) == after

    async def test_lookups_go_by_the_canonical_form(self, storage: Storage) -> None:
        user = a_full_user()
        assert user.username
        await add(storage, user)
        users = storage.unit_of_work().users
        assert await users.find_by_email(Email("WRITTEN@OTHERWISE", user.email.canonical)) == user
        assert await users.find_by_username(Username("OTHERWISE", user.username.canonical)) == user
        assert await users.find_by_email(Email(user.email.address, "no such form")) is None
        assert await users.find_by_username(Username(user.username.text, "no_such_form")) is None

    async def test_an_empty_storage_has_no_users(self, storage: Storage) -> None:
        users = storage.unit_of_work().users
        assert await users.get(nth_user_id(1)) is None
        assert await users.find_by_email(an_email("ann@example.org")) is None
        assert await users.find_by_username(a_username("ann")) is None
        assert list(await users.page(limit=10)) == []
        assert await users.count() == 0

    async def test_users_are_counted(self, storage: Storage) -> None:
        await add(storage, a_user(), a_user(), a_user())
        assert await storage.unit_of_work().users.count() == 3

    async def test_what_was_read_cannot_be_changed(self, storage: Storage) -> None:
        user = a_user()
        await add(storage, user)
        found = await stored_user(storage, user)
        assert found
        with pytest.raises(FrozenInstanceError):
            found.version = 7  # type: ignore[misc]

    async def test_changing_a_listing_changes_nothing_stored(self, storage: Storage) -> None:
        user = a_user()
        await add(storage, user)
        unit = storage.unit_of_work()
        for _ in range(2):
            for listing in (await unit.users.page(limit=9), await unit.users.find_by_emails([user.email])):
                assert list(listing) == [user]
                if isinstance(listing, MutableSequence):
                    listing.clear()

    @pytest.mark.parametrize("digit", "07f")
    async def test_ids_at_the_ends_of_their_range_come_back(self, storage: Storage, digit: str) -> None:
        user = a_user(id=UserId("-".join(digit * length for length in (8, 4, 4, 4, 12))))
        await add(storage, user)
        assert_same(await stored_user(storage, user), user)
