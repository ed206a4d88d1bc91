from dataclasses import replace
from datetime import timedelta

from adapters.storage_contract.examples import LATER, a_full_post, a_full_user, a_post, a_user, nth_post_id, nth_user_id
from adapters.storage_contract.steps import add, assert_same, remove, save, stored_post
from domain.post import Post
from domain.storage import Storage
from domain.values import Body, Title


class PostCases:
    """Posts come back as they went in, each with its author's."""

    async def test_a_post_comes_back_by_id_with_every_field(self, storage: Storage) -> None:
        author = a_full_user()
        post = a_full_post(author)
        await add(storage, author, a_full_post(author), post, a_full_post(author))
        assert_same(await stored_post(storage, post), post)

    async def test_a_post_comes_back_in_its_listing_with_every_field(self, storage: Storage) -> None:
        author = a_full_user()
        post = a_full_post(author)
        await add(storage, author, post)
        (found,) = await storage.unit_of_work().posts.page(author.id, limit=10)
        assert_same(found, post)

    async def test_saving_a_post_replaces_every_field(self, storage: Storage) -> None:
        author = a_user()
        before, bystander = a_full_post(author), a_full_post(author)
        await add(storage, author, before, bystander)
        after = Post(
            id=before.id,
            author_id=author.id,
            title=Title("Another title"),
            body=Body("Another body"),
            version=before.version + 1,
            created_at=before.created_at + timedelta(hours=1),
            updated_at=LATER,
        )
        await save(storage, after)
        assert_same(await stored_post(storage, before), after)
        assert_same(await stored_post(storage, bystander), bystander)
        assert list(await storage.unit_of_work().posts.page(author.id, limit=10)) == [after, bystander]

    async def test_post_versions_beyond_32_bits_come_back(self, storage: Storage) -> None:
        author = a_user()
        post = replace(a_post(author), version=2**33)
        await add(storage, author, post)
        assert_same(await stored_post(storage, post), post)

    async def test_a_removed_post_is_gone_and_its_neighbours_stay(self, storage: Storage) -> None:
        author = a_user()
        first, second, third = (a_post(author) for _ in range(3))
        await add(storage, author, first, second, third)
        await remove(storage, second)
        posts = storage.unit_of_work().posts
        assert await posts.get(second.id) is None
        assert list(await posts.page(author.id, limit=10)) == [first, third]
        assert await posts.count(author.id) == 2

    async def test_posts_are_listed_and_counted_author_by_author(self, storage: Storage) -> None:
        ann, ben = a_user(), a_user()
        of_ann, of_ben, more_of_ann = a_post(ann), a_post(ben), a_post(ann)
        await add(storage, ann, ben, of_ann, of_ben, more_of_ann)
        posts = storage.unit_of_work().posts
        assert list(await posts.page(ann.id, limit=10)) == [of_ann, more_of_ann]
        assert list(await posts.page(ben.id, limit=10)) == [of_ben]
        assert (await posts.count(ann.id), await posts.count(ben.id)) == (2, 1)

    async def test_unknown_posts_and_authors_have_nothing(self, storage: Storage) -> None:
        posts = storage.unit_of_work().posts
        assert await posts.get(nth_post_id(1)) is None
        assert list(await posts.page(nth_user_id(1), limit=10)) == []
        assert await posts.count(nth_user_id(1)) == 0

    async def test_a_post_may_have_the_id_of_a_user(self, storage: Storage) -> None:
        author = a_user()
        post = a_post(author, id=nth_post_id(5))
        await add(storage, author, a_user(id=nth_user_id(5)), post)
        assert await stored_post(storage, post) == post
