from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeAlias

import pytest

from adapters.storage_contract.examples import a_session
from application.passwords import Passwords
from application.principal import OPERATOR, Principal
from application.sign_in.throttle import SignInThrottle
from application.storage_secret import StorageSecret
from application.users.password_changes import PasswordChangeService
from application.users.service import NewUser, UserChanges, UserService
from domain.errors import TooBusy, UserNotFound
from domain.session import SESSIONS
from domain.user import User
from tests.application.fakes import ConflictingStorage, ManualClock, OneCommonPassword, ReadableHasher

PASSWORD = "correct horse"
NEW = "another horse"

Callback: TypeAlias = Callable[[], Awaitable[object]]


class CountingHasher(ReadableHasher):
    def __init__(self) -> None:
        self.hashed = 0

    async def hash(self, password: object) -> str:
        self.hashed += 1
        return await super().hash(password)  # type: ignore[arg-type] # the value does not matter here


@pytest.fixture
def hasher() -> CountingHasher:
    return CountingHasher()


@pytest.fixture
def changes(
    storage: ConflictingStorage, clock: ManualClock, hasher: CountingHasher, secret: StorageSecret
) -> PasswordChangeService:
    passwords = Passwords(hasher, OneCommonPassword())
    return PasswordChangeService(storage, passwords, SignInThrottle(storage, clock, secret, 5, 20))


@pytest.fixture
async def user(users: UserService) -> User:
    return await users.register(NewUser(email="ann@example.org", name="Ann", password=PASSWORD))


async def begin_session(storage: ConflictingStorage, user: User) -> Principal:
    session = a_session(user)
    unit = storage.unit_of_work()
    unit.records(SESSIONS).add(session)
    await unit.commit()
    return Principal(user.id, session.id, is_admin=False)


async def sessions_of(storage: ConflictingStorage, user: User) -> list[str]:
    return [session.id for session in await storage.unit_of_work().records(SESSIONS).page(owner=user.id, limit=1_000)]


async def test_a_session_that_begins_during_the_change_is_ended_too(
    storage: ConflictingStorage, changes: PasswordChangeService, user: User
) -> None:
    own = await begin_session(storage, user)
    storage.before_commit.append(lambda: begin_session(storage, user))
    await changes.change(user.id, current=PASSWORD, new=NEW, caller=own)
    assert storage.before_commit == []
    assert await sessions_of(storage, user) == [own.session_id]


async def test_other_sessions_end_in_the_very_commit_of_the_change(
    storage: ConflictingStorage, changes: PasswordChangeService, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def dies(*_: object, **__: object) -> None:
        raise TooBusy

    own = await begin_session(storage, user)
    await begin_session(storage, user)
    monkeypatch.setattr("application.users.password_changes.revoke_sessions", dies)
    with pytest.raises(TooBusy):
        await changes.change(user.id, current=PASSWORD, new=NEW, caller=own)
    assert await sessions_of(storage, user) == [own.session_id]


async def test_a_session_that_begins_while_its_user_is_disabled_is_ended_too(
    storage: ConflictingStorage, users: UserService, user: User
) -> None:
    await begin_session(storage, user)
    storage.before_commit.append(lambda: begin_session(storage, user))
    await users.change(user.id, UserChanges(active=False))
    assert storage.before_commit == []
    assert await sessions_of(storage, user) == []


async def test_a_change_that_has_to_be_repeated_hashes_once(
    storage: ConflictingStorage, changes: PasswordChangeService, hasher: CountingHasher, user: User
) -> None:
    await begin_session(storage, user)

    async def refresh() -> None:
        (session,) = await storage.unit_of_work().records(SESSIONS).page(owner=user.id, limit=1_000)
        unit = storage.unit_of_work()
        unit.records(SESSIONS).save(replace(session, version=session.version + 1))
        await unit.commit()

    def refresh_twice() -> list[Callback]:
        return [refresh, storage.unit_of_work().commit, refresh]

    storage.before_commit.extend(refresh_twice())
    await changes.change(user.id, current=PASSWORD, new=NEW, caller=OPERATOR)
    assert hasher.hashed == 1
    assert await sessions_of(storage, user) == []


async def test_the_password_of_a_concurrently_removed_user_cannot_be_changed(
    storage: ConflictingStorage, users: UserService, changes: PasswordChangeService, user: User
) -> None:
    own = await begin_session(storage, user)
    storage.before_commit.append(lambda: users.remove(user.id))
    with pytest.raises(UserNotFound):
        await changes.change(user.id, current=PASSWORD, new=NEW, caller=own)
