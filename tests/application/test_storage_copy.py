from collections.abc import Sequence
from dataclasses import fields, replace

import pytest

from adapters.memory.storage import MemoryStorage
from adapters.security.system_secrets import SystemSecrets
from adapters.storage_contract.examples import (
    a_credential,
    a_full_session,
    a_full_user,
    a_post,
    a_session,
    a_user,
    refreshed,
    renamed,
    some_failures,
)
from adapters.storage_contract.steps import add, remove, save, stored
from application.storage_secret import StorageSecret
from application.transfer.all_records import Stored, all_records
from application.transfer.record_digest import RecordDigest
from application.transfer.storage_copy import CopyFailed, StorageCopy
from domain.errors import StorageUnavailable, TooBusy
from domain.post import POSTS
from domain.session import SESSIONS, Session
from domain.user import User
from tests.application.fakes import ConflictingStorage

pytestmark = pytest.mark.slow


@pytest.fixture
def source() -> MemoryStorage:
    return MemoryStorage()


@pytest.fixture
def target() -> ConflictingStorage:
    return ConflictingStorage()


async def filled(storage: MemoryStorage, users: int = 250) -> Sequence[User]:
    """Add users, some with a credential and sessions, some with posts; one has more posts than one batch."""
    added = [a_full_user() for _ in range(users)]
    await add(storage, *added)
    await add(storage, *(a_credential(user) for user in added[::3]))
    await add(storage, *(a_session(user) for user in added[::3]), *(a_full_session(user) for user in added[::6]))
    await add(storage, *(a_full_session(added[0]) for _ in range(Session.MAX_PER_USER)))
    await add(storage, *(a_post(user) for user in added[::2] for _ in range(5)))
    await add(storage, *(a_post(added[7]) for _ in range(400)))
    await StorageSecret(storage, SystemSecrets()).digest()
    return added


async def held(storage: MemoryStorage) -> Sequence[Stored]:
    return [record async for record in all_records(storage)]


async def copied(source: MemoryStorage, target: MemoryStorage) -> StorageCopy:
    copy = StorageCopy(source, target)
    await copy.run(lambda _: None)
    await copy.verify(lambda _: None)
    return copy


async def test_a_copy_holds_everything_just_as_it_was(source: MemoryStorage, target: ConflictingStorage) -> None:
    users = await filled(source)
    copy = await copied(source, target)
    assert await held(target) == await held(source)
    assert (
        str(copy.read) == "250 users, 84 credentials, 176 sessions, 1025 posts, 0 sign in failures, 1 secrets, 0 jobs, "
        "0 one time tokens, 0 pending sign ups and 0 sign in places"
    )
    assert copy.read.records == 250 + 1_025 + 84 + 176 + 1
    assert copy.found == 0
    assert list(await target.unit_of_work().records(POSTS).page(owner=users[7].id, limit=2_000)) == list(
        await source.unit_of_work().records(POSTS).page(owner=users[7].id, limit=2_000)
    )


async def test_an_empty_storage_is_copied_too(source: MemoryStorage, target: ConflictingStorage) -> None:
    assert (await copied(source, target)).read.records == 0


async def test_the_number_of_users_is_reported_as_it_grows(source: MemoryStorage, target: ConflictingStorage) -> None:
    await filled(source)
    reported: list[int] = []
    copy = StorageCopy(source, target)
    await copy.run(reported.append)
    assert reported == sorted(reported)
    assert reported[-1] == 250
    reported.clear()
    await copy.verify(reported.append)
    assert reported == sorted(reported)
    assert reported[-1] == 250


@pytest.mark.parametrize("commits", range(4))
async def test_a_run_goes_on_where_the_last_one_ended(
    source: MemoryStorage, target: ConflictingStorage, commits: int
) -> None:
    await filled(source)

    async def nothing() -> None:
        """Do not interfere with this commit."""

    async def end() -> None:
        raise StorageUnavailable

    target.before_commit = [*[nothing] * commits, end]
    with pytest.raises(StorageUnavailable):
        await copied(source, target)
    before = await held(target)
    assert (len(before) > 0) == (commits > 0)
    copy = await copied(source, target)
    assert copy.found == len(before)
    assert await held(target) == await held(source)


async def test_copying_again_changes_nothing(source: MemoryStorage, target: ConflictingStorage) -> None:
    await filled(source)
    first = await copied(source, target)
    again = await copied(source, target)
    assert again.found == again.read.records == first.read.records
    assert again.read.digest == first.read.digest


async def test_what_was_added_to_the_end_of_the_source_is_copied_by_another_run(
    source: MemoryStorage, target: ConflictingStorage
) -> None:
    await filled(source)
    await copied(source, target)
    await filled(source, 20)
    await copied(source, target)
    assert await held(target) == await held(source)


async def test_a_target_with_other_data_is_refused_and_left_alone(
    source: MemoryStorage, target: ConflictingStorage
) -> None:
    users = await filled(source)
    other_user = a_user()
    await add(target, other_user)
    with pytest.raises(CopyFailed, match=f"user {other_user.id}"):
        await copied(source, target)
    assert await held(target) == [other_user]
    await remove(target, other_user)
    await copied(source, target)
    await save(target, renamed(users[100], "Renamed"))
    before = await held(target)
    with pytest.raises(CopyFailed, match=f"user {users[100].id}"):
        await copied(source, target)
    assert await held(target) == before


async def test_data_behind_those_of_the_source_are_other_data_too(
    source: MemoryStorage, target: ConflictingStorage
) -> None:
    users = await filled(source)
    await copied(source, target)
    post = a_post(users[-1])
    await add(target, post)
    with pytest.raises(CopyFailed, match=f"{post.id} of posts"):
        await copied(source, target)
    await remove(target, post)
    await copied(source, target)
    await add(target, a_credential(users[1]))
    with pytest.raises(CopyFailed, match=f"{users[1].id} of credentials"):
        await copied(source, target)


async def test_a_session_that_differs_is_other_data_and_its_secrets_are_not_shown(
    source: MemoryStorage, target: ConflictingStorage
) -> None:
    users = await filled(source)
    await copied(source, target)
    session = (await target.unit_of_work().records(SESSIONS).page(owner=users[3].id, limit=1_000))[0]
    await save(target, refreshed(session))
    with pytest.raises(CopyFailed, match=f"{session.id} of sessions") as failed:
        await copied(source, target)
    for secret in (session.token_digest, session.salt):
        assert secret not in str(failed.value)


async def test_records_without_an_owner_are_copied_too(source: MemoryStorage, target: ConflictingStorage) -> None:
    failures = some_failures()
    await filled(source, 20)
    await add(source, failures)
    await copied(source, target)
    await add(source, some_failures())
    await copied(source, target)
    assert await stored(target, failures) == failures
    assert await held(target) == await held(source)


@pytest.mark.parametrize("field", [field.name for field in fields(Session)])
def test_a_digest_is_of_every_field_of_a_session(field: str) -> None:
    one, other = a_full_session(a_user()), a_full_session(a_user())
    digests = set()
    for session in (one, replace(one, **{field: getattr(other, field)})):
        digest = RecordDigest()
        digest.add(session)
        digests.add(digest.digest)
    assert len(digests) == 2


async def test_users_are_followed_by_the_records_of_each_type_for_any_numbers(source: MemoryStorage) -> None:
    users, credentials, sessions, posts = [], [], [], []
    for number in (0, 1, 19, 20, 21, 199, 200, 201):
        user = a_user()
        users.append(user)
        credentials.append(a_credential(user))
        sessions += [a_full_session(user) for _ in range(number % 3)]
        posts += [a_post(user) for _ in range(number)]
    await add(source, *users, *credentials, *sessions, *posts)
    assert await held(source) == [*users, *credentials, *sessions, *posts]


async def test_a_concurrent_writer_to_the_target_is_reported(source: MemoryStorage, target: ConflictingStorage) -> None:
    users = await filled(source)
    target.before_commit = [lambda: add(target, a_user(email=users[0].email))]
    with pytest.raises(CopyFailed, match="another process writes to the target"):
        await copied(source, target)


async def test_a_target_that_is_busy_for_a_while_is_waited_for(
    source: MemoryStorage, target: ConflictingStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("application.transfer.storage_copy._SECONDS_BETWEEN_ATTEMPTS", 0)
    await filled(source)

    async def be_busy() -> None:
        raise TooBusy

    target.before_commit = [be_busy] * 50
    await copied(source, target)
    assert await held(target) == await held(source)
    await add(source, a_user())
    target.before_commit = [be_busy] * 100
    with pytest.raises(TooBusy):
        await copied(source, target)


async def test_a_copy_that_is_not_the_same_is_no_copy(source: MemoryStorage, target: ConflictingStorage) -> None:
    users = await filled(source)
    copy = StorageCopy(source, target)
    await copy.run(lambda _: None)
    await copy.verify(lambda _: None)
    await save(target, renamed(users[3], "Renamed"))
    with pytest.raises(CopyFailed, match="digests differ"):
        await copy.verify(lambda _: None)


async def test_a_source_that_was_written_to_during_the_copy_is_reported(
    source: MemoryStorage, target: ConflictingStorage
) -> None:
    await filled(source)
    copy = StorageCopy(source, target)
    await copy.run(lambda _: None)
    await add(source, a_user())
    with pytest.raises(CopyFailed, match="the source was written to during the copy"):
        await copy.verify(lambda _: None)
