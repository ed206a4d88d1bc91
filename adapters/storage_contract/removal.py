from adapters.storage_contract.examples import (
    LATER,
    a_credential,
    a_full_session,
    a_full_user,
    a_post,
    a_prefix,
    a_record,
    a_session,
    a_user,
)
from adapters.storage_contract.samples import CONTRACT_TYPES
from adapters.storage_contract.steps import (
    Everything,
    add,
    everything,
    remove,
    save,
    stored,
    stored_credential,
    stored_user,
)
from domain.session import Session
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

    async def test_everything_that_a_user_owns_goes_with_them(self, storage: Storage) -> None:
        user = a_user()
        ownerless = [a_record(record_type, user) for record_type in CONTRACT_TYPES if record_type.owner is None]
        owned = [a_record(record_type, user) for record_type in CONTRACT_TYPES if record_type.owner]
        posts = [a_post(user) for _ in range(30)]
        sessions = [a_session(user) for _ in range(Session.MOST_OF_A_USER)]
        await add(storage, user, *ownerless, *owned, *posts, *sessions)
        await remove(storage, user)
        for record in (*owned, *posts, *sessions):
            assert await stored(storage, record) is None
        assert await everything(storage) == Everything.of(*ownerless)

    async def test_nothing_of_other_users_goes_along(self, storage: Storage) -> None:
        user, other = a_full_user(), a_full_user()
        post, credential, session = a_post(other), a_credential(other), a_full_session(other)
        await add(storage, user, other, a_post(user), post, a_credential(user), credential, a_session(user), session)
        await remove(storage, user)
        assert await everything(storage) == Everything.of(other, post, credential, session)

    async def test_a_user_who_was_changed_is_removed_as_wholly(self, storage: Storage) -> None:
        user = a_full_user()
        changed = user.change(now=LATER, name=Name("Changed"))
        post, session = a_post(user), a_session(user)
        await add(storage, user, post, a_credential(user), session)
        await save(storage, changed)
        await remove(storage, changed)
        assert await stored(storage, session) is None
        assert await stored_user(storage, user) is None
        assert await stored(storage, post) is None
        assert await stored_credential(storage, user) is None

    async def test_a_user_who_is_added_again_has_nothing_from_before(self, storage: Storage) -> None:
        user = a_full_user()
        post, session = a_post(user), a_session(user)
        await add(storage, user, post, a_credential(user), session)
        await remove(storage, user)
        await add(storage, user)
        assert await everything(storage) == Everything.of(user)
        await add(storage, post, session)  # their ids are free again, too
        assert await stored(storage, post) == post
        assert await stored(storage, session) == session
