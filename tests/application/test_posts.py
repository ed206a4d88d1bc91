import pytest

from application.posts.service import NewPost, PostChanges, PostService
from application.users.service import NewUser, UserService
from domain.errors import InvalidInput, PostNotFound, UserNotFound, VersionMismatch
from domain.post import Post
from domain.user import User
from domain.values import PostId, UserId
from tests.application.fakes import ConflictingStorage, ManualClock

NOTHING = PostId("0193a7c5-0000-7000-8000-000000000000")
UNKNOWN_ID = UserId(NOTHING)


@pytest.fixture
async def author(users: UserService) -> User:
    return await users.register(NewUser(email="ann@example.com", name="Ann"))


async def a_post(posts: PostService, author: User) -> Post:
    return await posts.publish(author.id, NewPost(title="On tea", body="It is\nwarm."))


async def test_a_published_post_can_be_read_again(posts: PostService, author: User) -> None:
    post = await a_post(posts, author)
    assert await posts.get(post.id) == post
    assert (post.author_id, post.title, post.body, post.version) == (author.id, "On tea", "It is\nwarm.", 1)


async def test_all_errors_of_a_post_are_reported_at_once(posts: PostService, author: User) -> None:
    with pytest.raises(InvalidInput) as caught:
        await posts.publish(author.id, NewPost(title="a\nb", body=" "))
    assert [(error.field, error.code) for error in caught.value.errors] == [
        ("title", "invalid_character"),
        ("body", "blank"),
    ]


async def test_an_unknown_author_can_neither_publish_nor_be_listed(posts: PostService) -> None:
    with pytest.raises(UserNotFound):
        await posts.publish(UNKNOWN_ID, NewPost(title="T", body="B"))
    with pytest.raises(UserNotFound):
        await posts.list_by(UNKNOWN_ID, limit=1)
    assert await posts.count_by(UNKNOWN_ID) == 0


async def test_a_concurrently_removed_author_cannot_publish(
    posts: PostService, users: UserService, author: User, storage: ConflictingStorage
) -> None:
    storage.before_commit.append(lambda: users.remove(author.id))
    with pytest.raises(UserNotFound):
        await a_post(posts, author)


async def test_posts_are_listed_author_by_author(posts: PostService, users: UserService, author: User) -> None:
    bob = await users.register(NewUser(email="bob@example.com", name="Bob"))
    made = [await a_post(posts, author) for _ in range(3)]
    await a_post(posts, bob)
    assert await posts.list_by(author.id, limit=10) == made
    assert await posts.list_by(author.id, limit=1, after=made[0].id) == made[1:2]
    assert await posts.list_by(author.id, limit=2, skip=1, descending=True) == made[1::-1]
    assert await posts.list_by(author.id, limit=1, after=made[-1].id) == []
    assert await posts.count_by(author.id) == 3


async def test_an_author_without_posts_has_an_empty_list(posts: PostService, author: User) -> None:
    assert await posts.list_by(author.id, limit=10) == []


async def test_an_unknown_post_is_not_found(posts: PostService) -> None:
    for call in (posts.get(NOTHING), posts.change(NOTHING, PostChanges()), posts.remove(NOTHING)):
        with pytest.raises(PostNotFound):
            await call


async def test_a_change_touches_only_the_fields_it_names(posts: PostService, author: User, clock: ManualClock) -> None:
    post = await a_post(posts, author)
    clock.move(seconds=1)
    changed = await posts.change(post.id, PostChanges(title="On coffee"))
    assert (changed.title, changed.body, changed.version) == ("On coffee", post.body, 2)
    assert changed.updated_at > post.updated_at
    assert await posts.get(post.id) == changed


async def test_a_change_of_nothing_leaves_version_and_time(
    posts: PostService, author: User, clock: ManualClock
) -> None:
    post = await a_post(posts, author)
    clock.move(seconds=1)
    assert await posts.change(post.id, PostChanges(title="On tea")) == post


async def test_updated_at_does_not_go_back_with_the_clock(posts: PostService, author: User, clock: ManualClock) -> None:
    post = await a_post(posts, author)
    clock.move(days=-1)
    assert (await posts.change(post.id, PostChanges(title="Later"))).updated_at == post.updated_at


async def test_a_wrong_change_changes_nothing(posts: PostService, author: User) -> None:
    post = await a_post(posts, author)
    with pytest.raises(InvalidInput):
        await posts.change(post.id, PostChanges(title="t" * 201, body="b" * 10_001))
    assert await posts.get(post.id) == post


async def test_a_change_and_a_removal_need_one_of_the_expected_versions(posts: PostService, author: User) -> None:
    post = await a_post(posts, author)
    await posts.change(post.id, PostChanges(title="2"), expected={1})
    with pytest.raises(VersionMismatch):
        await posts.change(post.id, PostChanges(title="3"), expected={1})
    with pytest.raises(VersionMismatch):
        await posts.remove(post.id, expected={1})
    await posts.remove(post.id, expected={2})


async def test_changes_of_different_fields_at_once_both_hold(
    posts: PostService, other_posts: PostService, author: User, storage: ConflictingStorage
) -> None:
    post = await a_post(posts, author)
    storage.before_commit.append(lambda: other_posts.change(post.id, PostChanges(body="Faster.")))
    changed = await posts.change(post.id, PostChanges(title="Slower"))
    assert (changed.title, changed.body, changed.version) == ("Slower", "Faster.", 3)


async def test_a_removed_post_is_gone_and_its_author_is_not(
    posts: PostService, users: UserService, author: User
) -> None:
    post = await a_post(posts, author)
    await posts.remove(post.id)
    assert await posts.list_by(author.id, limit=1) == []
    assert await users.get(author.id) == author
