from datetime import UTC, datetime

import pytest

from application.posts.service import NewPost, PostService
from application.users.service import NewUser, UserChanges, UserService
from domain.credential import CREDENTIALS
from domain.errors import (
    EmailTaken,
    InvalidInput,
    TooBusy,
    UsernameTaken,
    UserNotFound,
    VersionMismatch,
)
from domain.post import POSTS
from domain.user import Role, User
from domain.values import UserId
from tests.application.fakes import ConflictingStorage, ManualClock

UNKNOWN_ID = UserId("0193a7c5-0000-7000-8000-000000000000")


async def ann(users: UserService, username: str | None = None) -> User:
    return await users.register(NewUser(email="ann@example.com", name="Ann", username=username))


async def test_a_registered_user_can_be_read_again(users: UserService) -> None:
    registered = await users.register(
        NewUser(email="Ann@Example.COM", name=" Ann ", username="Ann_1", bio="Tea.\n", role=Role.ADMIN, active=False)
    )
    assert await users.get(registered.id) == registered
    assert (registered.email.address, registered.email.canonical) == ("Ann@example.com", "ann@example.com")
    assert (registered.name, registered.bio, registered.role, registered.active) == ("Ann", "Tea.", Role.ADMIN, False)
    assert registered.version == 1


async def test_a_new_user_is_an_active_member_without_username_and_bio(users: UserService) -> None:
    user = await ann(users)
    assert (user.username, user.bio, user.role, user.active) == (None, None, Role.MEMBER, True)


async def test_times_are_cut_to_milliseconds(users: UserService) -> None:
    user = await ann(users)
    assert user.created_at == user.updated_at == datetime(2026, 11, 20, 20, 36, 0, 123_000, tzinfo=UTC)


async def test_ids_sort_by_creation(users: UserService) -> None:
    ids = [(await users.register(NewUser(email=f"u{n}@example.com", name="U"))).id for n in range(20)]
    assert ids == sorted(ids)


async def test_all_errors_of_a_new_user_are_reported_at_once(users: UserService) -> None:
    with pytest.raises(InvalidInput) as caught:
        await users.register(NewUser(email="unknown", name=" ", username="-", bio="\0", password="short"))
    assert [(error.field, error.code) for error in caught.value.errors] == [
        ("email", "invalid_email"),
        ("name", "blank"),
        ("username", "invalid_username"),
        ("bio", "invalid_character"),
        ("password", "too_short"),
    ]
    assert await users.count() == 0


async def test_an_email_is_taken_in_any_case(users: UserService) -> None:
    await ann(users)
    with pytest.raises(EmailTaken):
        await users.register(NewUser(email="ANN@example.com", name="Another"))


async def test_a_username_is_taken_in_any_case(users: UserService) -> None:
    await ann(users, "ann")
    with pytest.raises(UsernameTaken):
        await users.register(NewUser(email="other@example.com", name="Another", username="ANN"))


async def test_a_password_becomes_a_credential(users: UserService, storage: ConflictingStorage) -> None:
    user = await users.register(NewUser(email="ann@example.com", name="Ann", password="correct horse"))
    credential = await storage.unit_of_work().records(CREDENTIALS).get(user.id)
    assert credential is not None
    assert credential.password_hash == "hash of correct horse"
    assert "horse" not in repr(credential)


async def test_a_user_without_a_password_has_no_credential(users: UserService, storage: ConflictingStorage) -> None:
    user = await ann(users)
    assert await storage.unit_of_work().records(CREDENTIALS).get(user.id) is None


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("ILoveYou123", "common_password"),
        ("Ann.Lee@example.com", "own_data"),
        ("ANN LEE THE FIRST", "own_data"),
        ("ann_lee_1", "own_data"),
        ("p" * 257, "too_long"),
    ],
)
async def test_a_password_that_is_easily_guessed_is_refused(users: UserService, password: str, code: str) -> None:
    new = NewUser(email="ann.lee@example.com", name="Ann Lee the First", username="ann_lee_1", password=password)
    with pytest.raises(InvalidInput) as caught:
        await users.register(new)
    assert [(error.field, error.code) for error in caught.value.errors] == [("password", code)]


async def test_an_unknown_user_is_not_found(users: UserService) -> None:
    for call in (users.get(UNKNOWN_ID), users.change(UNKNOWN_ID, UserChanges()), users.remove(UNKNOWN_ID)):
        with pytest.raises(UserNotFound):
            await call


async def test_users_are_listed_by_creation_in_both_directions(users: UserService) -> None:
    made = [await users.register(NewUser(email=f"u{n}@example.com", name="U")) for n in range(5)]
    assert await users.list(limit=10) == made
    assert await users.list(limit=2, after=made[1].id) == made[2:4]
    assert await users.list(limit=2, skip=1) == made[1:3]
    assert await users.list(limit=10, descending=True) == made[::-1]
    assert await users.count() == 5


async def test_a_user_is_found_by_email_and_by_username_in_any_case(users: UserService) -> None:
    user = await ann(users, "ann")
    assert await users.find(email="ANN@EXAMPLE.com") == user
    assert await users.find(username="Ann") == user
    assert await users.find(email="ann@example.com", username="ann") == user


async def test_a_user_is_not_found_when_only_one_of_two_texts_is_theirs(users: UserService) -> None:
    await ann(users, "ann")
    await users.register(NewUser(email="bob@example.com", name="Bob", username="bob"))
    assert await users.find(email="ann@example.com", username="bob") is None
    assert await users.find(email="ann@example.com", username="unknown") is None
    assert await users.find(email="no address") is None
    assert await users.find(username="!") is None


async def test_search_finds_the_beginnings_of_name_email_and_username(users: UserService) -> None:
    by_name = await users.register(NewUser(email="x@example.com", name="Šárka"))
    by_email = await users.register(NewUser(email="šárka@example.com", name="Y"))
    by_username = await users.register(NewUser(email="z@example.com", name="Z", username="Sarka"))
    assert await users.search("ŠÁR", limit=10) == [by_name, by_email]
    assert await users.search("sar", limit=10) == [by_username]
    assert await users.search("šár", limit=1, descending=True) == [by_email]
    assert await users.count("šár") == 2


@pytest.mark.parametrize("prefix", ["", "a" * 101, "a\0"])
async def test_search_refuses_what_can_be_the_beginning_of_nothing(users: UserService, prefix: str) -> None:
    with pytest.raises(InvalidInput):
        await users.search(prefix, limit=1)
    with pytest.raises(InvalidInput):
        await users.count(prefix)


async def test_a_change_touches_only_the_fields_it_names(users: UserService, clock: ManualClock) -> None:
    before = await users.register(NewUser(email="ann@example.com", name="Ann", username="ann", bio="Tea."))
    clock.move(seconds=1)
    after = await users.change(before.id, UserChanges(name="Anna"))
    assert (after.name, after.email, after.username, after.bio) == ("Anna", before.email, before.username, "Tea.")
    assert (after.version, after.created_at) == (2, before.created_at)
    assert after.updated_at > before.updated_at
    assert await users.get(before.id) == after


async def test_none_clears_what_can_be_cleared(users: UserService) -> None:
    user = await users.register(NewUser(email="ann@example.com", name="Ann", username="ann", bio="Tea."))
    cleared = await users.change(user.id, UserChanges(username=None, bio=None))
    assert (cleared.username, cleared.bio) == (None, None)
    await users.register(NewUser(email="bob@example.com", name="Bob", username="ann"))


async def test_a_change_of_nothing_leaves_version_and_time(users: UserService, clock: ManualClock) -> None:
    user = await ann(users)
    clock.move(hours=1)
    assert await users.change(user.id, UserChanges()) == user
    assert await users.change(user.id, UserChanges(name="  Ann ")) == user
    assert await users.get(user.id) == user


async def test_updated_at_does_not_go_back_with_the_clock(users: UserService, clock: ManualClock) -> None:
    user = await ann(users)
    clock.move(days=-1)
    changed = await users.change(user.id, UserChanges(name="Anna"))
    assert changed.updated_at == user.updated_at
    assert changed.version == 2


async def test_all_errors_of_a_change_are_reported_at_once(users: UserService) -> None:
    user = await ann(users)
    with pytest.raises(InvalidInput) as caught:
        await users.change(user.id, UserChanges(email="x", name="", username="y", bio="z" * 1_001))
    assert [error.field for error in caught.value.errors] == ["email", "name", "username", "bio"]
    assert await users.get(user.id) == user


async def test_a_change_cannot_take_what_another_user_has(users: UserService) -> None:
    await ann(users, "ann")
    bob = await users.register(NewUser(email="bob@example.com", name="Bob"))
    with pytest.raises(EmailTaken):
        await users.change(bob.id, UserChanges(email="ann@EXAMPLE.com"))
    with pytest.raises(UsernameTaken):
        await users.change(bob.id, UserChanges(username="Ann"))
    assert await users.get(bob.id) == bob


async def test_a_user_may_change_the_case_of_their_own_email_and_username(users: UserService) -> None:
    user = await ann(users, "ann")
    changed = await users.change(user.id, UserChanges(email="Ann@example.com", username="ANN"))
    assert changed.email.address == "Ann@example.com"
    assert changed.username is not None
    assert changed.username.text == "ANN"


async def test_a_change_needs_one_of_the_expected_versions(users: UserService) -> None:
    user = await ann(users)
    changed = await users.change(user.id, UserChanges(name="Anna"), expected={1, 7})
    with pytest.raises(VersionMismatch):
        await users.change(user.id, UserChanges(name="Anne"), expected={1})
    with pytest.raises(VersionMismatch):
        await users.remove(user.id, expected=[])
    assert await users.get(user.id) == changed
    await users.remove(user.id, expected={2})


async def test_changes_of_different_fields_at_once_both_hold(
    users: UserService, other_users: UserService, storage: ConflictingStorage
) -> None:
    user = await ann(users)

    async def rival() -> None:
        await other_users.change(user.id, UserChanges(bio="Tea."))

    storage.before_commit.append(rival)
    changed = await users.change(user.id, UserChanges(name="Anna"))
    assert (changed.name, changed.bio, changed.version) == ("Anna", "Tea.", 3)


async def test_a_change_that_expects_a_version_loses_to_a_faster_one(
    users: UserService, other_users: UserService, storage: ConflictingStorage
) -> None:
    user = await ann(users)

    async def rival() -> None:
        await other_users.change(user.id, UserChanges(bio="Tea."))

    storage.before_commit.append(rival)
    with pytest.raises(VersionMismatch):
        await users.change(user.id, UserChanges(name="Anna"), expected={1})
    assert (await users.get(user.id)).name == "Ann"


async def test_a_change_of_a_user_who_is_removed_concurrently_is_user_not_found(
    users: UserService, storage: ConflictingStorage
) -> None:
    user = await ann(users)
    storage.before_commit.append(lambda: users.remove(user.id))
    with pytest.raises(UserNotFound):
        await users.change(user.id, UserChanges(name="Anna"))


async def test_a_removal_without_a_version_outlasts_a_faster_change(
    users: UserService, storage: ConflictingStorage
) -> None:
    user = await ann(users)
    storage.before_commit.append(lambda: users.change(user.id, UserChanges(name="Anna")))
    await users.remove(user.id)
    assert await users.count() == 0


async def test_a_change_that_never_wins_ends_as_too_busy(users: UserService, storage: ConflictingStorage) -> None:
    user = await ann(users)

    async def rival() -> None:
        # Bypasses the service, so that the next callback does not run at this commit.
        unit = storage.unit_of_work()
        current = await unit.users.get(user.id)
        assert current is not None
        unit.users.save(current.change(now=current.updated_at, active=not current.active))
        before_commit, storage.before_commit = storage.before_commit, []
        await unit.commit()
        storage.before_commit = [*before_commit, rival]

    storage.before_commit.append(rival)
    with pytest.raises(TooBusy):
        await users.change(user.id, UserChanges(name="Anna"))


async def test_removing_a_user_removes_posts_and_credential(
    users: UserService, posts: PostService, storage: ConflictingStorage
) -> None:
    user = await users.register(NewUser(email="ann@example.com", name="Ann", password="correct horse"))
    post = await posts.publish(user.id, NewPost(title="T", body="B"))
    await users.remove(user.id)
    unit = storage.unit_of_work()
    assert await unit.users.get(user.id) is None
    assert await unit.records(POSTS).get(post.id) is None
    assert await unit.records(CREDENTIALS).get(user.id) is None
    await ann(users)
