from adapters.storage_contract.examples import LATER, a_credential, a_full_user, a_post, a_prefix, a_user
from adapters.storage_contract.steps import add, everything, remove, save, stored_credential, stored_post, stored_user
from domain.storage import Storage
from domain.values import Name


class RemovalCases:
    """Nobody finds anything of a removed user."""

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

    async def test_posts_and_credential_go_with_their_user(self, storage: Storage) -> None:
        user = a_user()
        posts = [a_post(user) for _ in range(30)]
        await add(storage, user, *posts, a_credential(user))
        await remove(storage, user)
        for post in posts:
            assert await stored_post(storage, post) is None
        assert list(await storage.unit_of_work().posts.page(user.id, limit=100)) == []
        assert await storage.unit_of_work().posts.count(user.id) == 0
        assert await stored_credential(storage, user) is None

    async def test_nothing_of_other_users_goes_along(self, storage: Storage) -> None:
        user, other = a_full_user(), a_full_user()
        post, credential = a_post(other), a_credential(other)
        await add(storage, user, other, a_post(user), post, a_credential(user), credential)
        await remove(storage, user)
        found = await everything(storage)
        assert (found.users, found.posts, found.credentials) == ([other], [post], [credential])

    async def test_a_user_who_was_changed_is_removed_as_wholly(self, storage: Storage) -> None:
        user = a_full_user()
        changed = user.change(now=LATER, name=Name("Changed"))
        post = a_post(user)
        await add(storage, user, post, a_credential(user))
        await save(storage, changed)
        await remove(storage, changed)
        assert await stored_user(storage, user) is None
        assert await stored_post(storage, post) is None
        assert await stored_credential(storage, user) is None

    async def test_a_user_who_is_added_again_has_nothing_from_before(self, storage: Storage) -> None:
        user = a_full_user()
        post = a_post(user)
        await add(storage, user, post, a_credential(user))
        await remove(storage, user)
        await add(storage, user)
        found = await everything(storage)
        assert (found.users, found.posts, found.credentials) == ([user], [], [])
        await add(storage, post)  # its id is free again, too
        assert await stored_post(storage, post) == post
