import asyncio
from collections.abc import Callable
from itertools import product

import pytest

from adapters.storage_contract.examples import (
    LATER,
    a_credential,
    a_full_user,
    a_post,
    a_prefix,
    a_user,
    an_email,
    renamed,
    retitled,
)
from adapters.storage_contract.steps import (
    StorageContents,
    add,
    read_all,
    remove,
    save,
    stage_add,
    stage_remove,
    stage_save,
    stored,
    stored_user,
)
from domain.errors import DomainError, EmailTaken, IdTaken, StaleVersion, UserNotFound
from domain.post import POSTS, Post
from domain.storage import Storage, UnitOfWork
from domain.user import User

TIMEOUT_SECONDS = 30

Bad = Callable[[UnitOfWork, User, Post], None]

# Each breaks a commit, given outdated states of a user and of a post.
FAILURES: dict[str, tuple[Bad, type[DomainError]]] = {
    "taken email": (lambda unit, user, _: stage_add(unit, a_user(email=user.email)), EmailTaken),
    "taken user id": (lambda unit, user, _: stage_add(unit, a_user(id=user.id)), IdTaken),
    "taken post id": (lambda unit, user, post: stage_add(unit, a_post(user, id=post.id)), IdTaken),
    "post of an unknown user": (lambda unit, *_: stage_add(unit, a_post(a_user())), UserNotFound),
    "credential of an unknown user": (lambda unit, *_: stage_add(unit, a_credential(a_user())), UserNotFound),
    "stale user saved": (lambda unit, user, _: stage_save(unit, renamed(user, "Stale")), StaleVersion),
    "stale user removed": (lambda unit, user, _: stage_remove(unit, user), StaleVersion),
    "stale post saved": (lambda unit, _, post: stage_save(unit, retitled(post, "Stale")), StaleVersion),
    "stale post removed": (lambda unit, _, post: stage_remove(unit, post), StaleVersion),
}


class UnitOfWorkCases:
    """Writes wait for the commit, which applies all or none."""

    async def test_staged_writes_are_invisible_before_the_commit(
        self, storage: Storage, another_client: Storage
    ) -> None:
        kept, doomed = a_user(), a_user()
        post = a_post(kept)
        await add(storage, kept, doomed, post)
        before = await read_all(storage)
        unit = storage.unit_of_work()
        added = a_user()
        stage_add(unit, added, a_post(added), a_credential(kept))
        stage_save(unit, renamed(kept, "Renamed"), retitled(post, "Retitled"))
        stage_remove(unit, doomed)
        assert await read_all(storage) == before
        assert await read_all(another_client) == before
        assert await unit.users.get(added.id) is None
        assert await unit.users.get(kept.id) == kept
        assert await unit.users.find_by_email(added.email) is None
        assert await unit.users.count() == 2
        await unit.commit()
        assert await read_all(storage) != before

    async def test_a_unit_of_work_that_is_dropped_changes_nothing(self, storage: Storage) -> None:
        user = a_user()
        await add(storage, user)
        before = await read_all(storage)
        unit = storage.unit_of_work()
        stage_add(unit, a_user(), a_post(user))
        stage_remove(unit, user)
        del unit
        assert await read_all(storage) == before

    async def test_what_was_committed_is_seen_by_every_client_at_once(
        self, storage: Storage, another_client: Storage
    ) -> None:
        user = a_full_user()
        post, credential = a_post(user), a_credential(user)
        await add(storage, user, post, credential)
        assert await read_all(another_client) == await read_all(storage)
        await save(another_client, renamed(user, "Renamed"))
        assert await stored_user(storage, user) == renamed(user, "Renamed")
        await remove(storage, renamed(user, "Renamed"))
        assert (await read_all(another_client)).users == []

    async def test_the_unit_of_work_that_committed_sees_it_too(self, storage: Storage) -> None:
        unit = storage.unit_of_work()
        user = a_user()
        unit.users.add(user)
        await unit.commit()
        assert await unit.users.get(user.id) == user

    async def test_all_kinds_of_writes_go_in_one_commit(self, storage: Storage) -> None:
        saved, removed, author = a_user(), a_user(), a_user()
        saved_post, removed_post = a_post(saved), a_post(saved)
        await add(storage, saved, removed, saved_post, removed_post)
        unit = storage.unit_of_work()
        post, credential = a_post(author), a_credential(author)
        stage_add(unit, author, post, credential)
        stage_save(unit, renamed(saved, "Renamed"), retitled(saved_post, "Retitled"))
        stage_remove(unit, removed, removed_post)
        await unit.commit()
        found = await read_all(storage)
        assert found.users == [renamed(saved, "Renamed"), author]
        assert found.records["posts"] == [retitled(saved_post, "Retitled"), post]
        assert found.records["credentials"] == [credential]

    async def test_writes_apply_in_the_order_in_which_they_were_staged(self, storage: Storage) -> None:
        unit = storage.unit_of_work()
        user, gone = a_user(), a_user()
        post, gone_post = a_post(user), a_post(user)
        stage_add(unit, user, gone, post, gone_post)
        stage_save(unit, renamed(user, "Second"), retitled(post, "Second"))
        third = renamed(user, "Second").change(now=LATER, email=an_email("third@example.org"))
        stage_save(unit, third)
        stage_remove(unit, gone_post, gone)
        await unit.commit()
        found = await read_all(storage)
        assert found.users == [third]
        assert found.records["posts"] == [retitled(post, "Second")]
        await remove(storage, retitled(post, "Second"), third)
        assert await read_all(storage) == StorageContents.of()

    async def test_a_user_can_be_removed_and_added_again_in_one_commit(self, storage: Storage) -> None:
        user = a_full_user()
        await add(storage, user, a_post(user), a_credential(user))
        unit = storage.unit_of_work()
        unit.users.remove(user)
        unit.users.add(user)
        await unit.commit()
        found = await read_all(storage)
        assert (found.users, found.records["posts"], found.records["credentials"]) == ([user], [], [])

    async def test_what_went_with_a_user_cannot_be_saved_once_they_are_added_again(self, storage: Storage) -> None:
        user = a_full_user()
        post = a_post(user)
        await add(storage, user, post)
        unit = storage.unit_of_work()
        stage_remove(unit, user)
        stage_add(unit, user)
        stage_save(unit, retitled(post, "Retitled"))
        with pytest.raises(StaleVersion):
            await unit.commit()
        found = await read_all(storage)
        assert (found.users, found.records["posts"]) == ([user], [post])

    async def test_what_is_staged_with_an_author_goes_with_a_removal_that_is_staged_later(
        self, storage: Storage
    ) -> None:
        author = a_user()
        post = a_post(author)
        unit = storage.unit_of_work()
        stage_add(unit, author, post, a_credential(author))
        stage_remove(unit, author)
        await unit.commit()
        assert await stored(storage, post) is None
        await add(storage, author)
        found = await read_all(storage)
        assert (found.users, found.records["posts"], found.records["credentials"]) == ([author], [], [])

    async def test_a_post_staged_before_its_author_has_none(self, storage: Storage) -> None:
        author = a_user()
        with pytest.raises(UserNotFound):
            await add(storage, a_post(author), author)
        assert await stored_user(storage, author) is None

    async def test_a_commit_that_fails_leaves_nothing(self, storage: Storage) -> None:
        user, other = a_full_user(), a_full_user()
        gone = a_full_user()
        post, others_post, others_credential = a_post(user), a_post(other), a_credential(other)
        await add(storage, user, other, gone, post, others_post, a_post(gone), others_credential, a_credential(gone))
        await save(storage, renamed(user, "Second"), retitled(post, "Second"))
        before = await read_all(storage)
        for (spoil, error), bad_one_first in product(FAILURES.values(), (True, False)):
            unit = storage.unit_of_work()
            newcomer = a_full_user()
            if bad_one_first:
                spoil(unit, user, post)
            stage_add(unit, newcomer, a_post(newcomer), a_credential(newcomer), a_post(other))
            stage_save(
                unit, renamed(other, "Renamed"), retitled(others_post, "Retitled"), others_credential.change("$")
            )
            stage_remove(unit, gone)
            if not bad_one_first:
                spoil(unit, user, post)
            with pytest.raises(error):
                await unit.commit()
            assert await read_all(storage) == before
            assert await storage.unit_of_work().users.find_by_email(newcomer.email) is None
            assert list(await storage.unit_of_work().users.search(a_prefix(newcomer.name), limit=5)) == []

    async def test_a_record_that_a_failed_commit_wrote_twice_is_as_it_was(self, storage: Storage) -> None:
        user, gone, taken = a_full_user(), a_full_user(), a_user()
        post, credential = a_post(user), a_credential(user)
        await add(storage, user, gone, taken, post, a_post(gone), credential, a_credential(gone))
        before = await read_all(storage)
        unit = storage.unit_of_work()
        second = user.change(now=LATER, email=an_email("second@example.org"), username=None)
        stage_save(unit, second, renamed(second, "Third"))
        stage_save(unit, retitled(post, "Second"), retitled(retitled(post, "Second"), "Third"))
        stage_save(unit, credential.change("$second"), credential.change("$second").change("$third"))
        stage_remove(unit, gone)
        stage_add(unit, gone, a_post(gone), a_credential(gone))
        stage_add(unit, a_user(email=taken.email))
        with pytest.raises(EmailTaken):
            await unit.commit()
        assert await read_all(storage) == before
        assert await storage.unit_of_work().users.find_by_email(user.email) == user
        assert await storage.unit_of_work().users.find_by_email(second.email) is None

    async def test_a_second_commit_does_nothing(self, storage: Storage) -> None:
        user = a_user()
        unit = storage.unit_of_work()
        unit.users.add(user)
        await unit.commit()
        await unit.commit()
        await save(storage, renamed(user, "Renamed"))
        await unit.commit()
        assert (await read_all(storage)).users == [renamed(user, "Renamed")]

    async def test_after_a_failed_commit_nothing_is_staged(self, storage: Storage) -> None:
        taken, added = a_user(), a_user()
        await add(storage, taken)
        unit = storage.unit_of_work()
        unit.users.add(added)
        unit.users.add(a_user(email=taken.email))
        with pytest.raises(EmailTaken):
            await unit.commit()
        await unit.commit()
        assert (await read_all(storage)).users == [taken]

    async def test_a_unit_of_work_can_be_used_after_a_failed_commit(self, storage: Storage) -> None:
        taken, added = a_user(), a_user()
        await add(storage, taken)
        unit = storage.unit_of_work()
        unit.users.add(a_user(email=taken.email))
        with pytest.raises(EmailTaken):
            await unit.commit()
        unit.users.add(added)
        await unit.commit()
        assert await unit.users.get(added.id) == added

    async def test_committing_nothing_is_fine(self, storage: Storage) -> None:
        await storage.unit_of_work().commit()
        assert (await read_all(storage)).users == []

    async def test_units_of_work_know_nothing_of_each_other(self, storage: Storage) -> None:
        first, second = storage.unit_of_work(), storage.unit_of_work()
        ann, ben = a_user(), a_user()
        first.users.add(ann)
        second.users.add(ben)
        await second.commit()
        assert (await read_all(storage)).users == [ben]
        await first.commit()
        assert (await read_all(storage)).users == [ann, ben]

    async def test_many_records_go_in_one_commit(self, storage: Storage) -> None:
        users = [a_full_user() for _ in range(300)]
        posts = [a_post(users[0]) for _ in range(300)]
        await add(storage, *users, *posts, *(a_credential(user) for user in users[:20]))
        assert list(await storage.unit_of_work().users.page(limit=1_000)) == users
        assert list(await storage.unit_of_work().records(POSTS).page(owner=users[0].id, limit=1_000)) == posts

    async def test_one_conflict_among_many_records_undoes_them_all(self, storage: Storage) -> None:
        taken = a_user()
        await add(storage, taken)
        with pytest.raises(EmailTaken):
            await add(
                storage, *(a_user() for _ in range(150)), a_user(email=taken.email), *(a_user() for _ in range(150))
            )
        assert (await read_all(storage)).users == [taken]

    async def test_many_credentials_go_in_one_commit(self, storage: Storage) -> None:
        users = [a_user() for _ in range(60)]
        credentials = [a_credential(user) for user in users]
        await add(storage, *users)
        await add(storage, *credentials)
        assert (await read_all(storage)).records["credentials"] == credentials

    async def test_a_failed_commit_of_many_blocks_no_other(self, storage: Storage) -> None:
        taken = a_user()
        users = [a_user() for _ in range(60)]
        await add(storage, taken)
        with pytest.raises(EmailTaken):
            await add(storage, *users, a_user(email=taken.email))
        async with asyncio.timeout(TIMEOUT_SECONDS):
            await add(storage, *users)
        assert (await read_all(storage)).users == [taken, *users]
