import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import pytest

from adapters.runtime.domain_names import IdnaDomainNames
from adapters.runtime.system import Uuid7Source
from adapters.security.access_tokens import JwtSigner
from adapters.security.signing_keys import SigningKeys
from adapters.security.system_secrets import SystemSecrets
from application.passwords import Passwords
from application.sessions.token_issuer import TokenPair
from application.sign_in.attempt import ClientInfo
from application.sign_in.service import SignInService
from application.sign_in.throttle import SignInThrottle
from application.storage_secret import StorageSecret
from application.users.service import NewUser, UserChanges, UserService
from domain.credential import CREDENTIALS
from domain.errors import InvalidCredentials, InvalidRefreshToken, RefreshTokenReused, TooBusy
from domain.session import SESSIONS, Session
from domain.user import User
from domain.values import Password, UserId
from tests.application.fakes import ConflictingStorage, ManualClock, OneCommonPassword, ReadableHasher

SIGNING_KEYS: Final = SigningKeys.new()
PASSWORD: Final = "correct horse"
CLIENT: Final = ClientInfo(address="192.0.2.1", user_agent="a browser")

Callback: TypeAlias = Callable[[ConflictingStorage, UserService, UserId], Awaitable[object]]


class BusyHasher(ReadableHasher):
    """A hasher that can be too busy to hash or to verify."""

    hashes = True
    verifies = True

    async def hash(self, password: Password) -> str:
        if not self.hashes:
            raise TooBusy
        return await super().hash(password)

    async def verify(self, password: Password, password_hash: str | None) -> bool:
        if not self.verifies:
            raise TooBusy
        return await super().verify(password, password_hash)


@pytest.fixture(autouse=True)
def no_refusal_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the minimum duration of a failed sign-in."""
    monkeypatch.setattr("application.sign_in.service._MIN_FAILURE_SECONDS", 0.0)


@pytest.fixture
def hasher() -> BusyHasher:
    return BusyHasher()


@pytest.fixture
def sign_ins(
    storage: ConflictingStorage, clock: ManualClock, hasher: BusyHasher, secret: StorageSecret
) -> SignInService:
    return SignInService(
        storage,
        clock,
        Uuid7Source(),
        SystemSecrets(),
        IdnaDomainNames(),
        Passwords(hasher, OneCommonPassword()),
        SignInThrottle(storage, clock, secret, per_account=5, per_address=0),
        JwtSigner(SIGNING_KEYS, issuer="userport", audience="userport"),
    )


@pytest.fixture
async def user(users: UserService) -> User:
    return await users.register(NewUser(email="ann@example.com", name="Ann", username="ann", password=PASSWORD))


async def sign_in(sign_ins: SignInService, password: str = PASSWORD) -> TokenPair:
    return await sign_ins.sign_in("ann@example.com", password, CLIENT)


async def sessions_of(storage: ConflictingStorage, user: User) -> list[Session]:
    return list(await storage.unit_of_work().records(SESSIONS).page(owner=user.id, limit=1_000))


async def put_hash(storage: ConflictingStorage, user_id: UserId, password_hash: str) -> None:
    unit = storage.unit_of_work()
    credential = await unit.records(CREDENTIALS).get(user_id)
    assert credential
    unit.records(CREDENTIALS).save(credential.change(password_hash))
    await unit.commit()


async def hash_of(storage: ConflictingStorage, user: User) -> str:
    credential = await storage.unit_of_work().records(CREDENTIALS).get(user.id)
    assert credential is not None
    return credential.password_hash


# Weaker hashes


async def test_a_weaker_hash_is_renewed_at_a_sign_in(
    sign_ins: SignInService, storage: ConflictingStorage, user: User
) -> None:
    await put_hash(storage, user.id, f"old hash of {PASSWORD}")
    with pytest.raises(InvalidCredentials):
        await sign_in(sign_ins, "wrong horse")
    assert await hash_of(storage, user) == f"old hash of {PASSWORD}"
    await sign_in(sign_ins)
    assert await hash_of(storage, user) == f"hash of {PASSWORD}"
    await sign_in(sign_ins)
    assert len(await sessions_of(storage, user)) == 2


async def test_all_who_sign_in_while_a_hash_is_renewed_succeed(
    sign_ins: SignInService, storage: ConflictingStorage, user: User
) -> None:
    await put_hash(storage, user.id, f"old hash of {PASSWORD}")
    storage.before_commit.append(lambda: sign_in(sign_ins))
    await sign_in(sign_ins)
    assert not storage.before_commit
    assert len(await sessions_of(storage, user)) == 2
    await put_hash(storage, user.id, f"old hash of {PASSWORD}")
    await asyncio.gather(*(sign_in(sign_ins) for _ in range(20)))
    assert len(await sessions_of(storage, user)) == 22
    assert await hash_of(storage, user) == f"hash of {PASSWORD}"


async def test_a_hash_that_cannot_be_renewed_now_is_good_enough_to_sign_in(
    sign_ins: SignInService, storage: ConflictingStorage, hasher: BusyHasher, user: User
) -> None:
    await put_hash(storage, user.id, f"old hash of {PASSWORD}")
    hasher.hashes = False
    await sign_in(sign_ins)
    assert len(await sessions_of(storage, user)) == 1
    assert await hash_of(storage, user) == f"old hash of {PASSWORD}"


async def test_an_attempt_that_could_not_be_checked_is_not_a_failure(
    sign_ins: SignInService, hasher: BusyHasher, user: User
) -> None:
    hasher.verifies = False
    for _ in range(10):
        with pytest.raises(TooBusy):
            await sign_in(sign_ins)
    hasher.verifies = True
    await sign_in(sign_ins)


# Concurrent changes just before the commit


async def disable(_: ConflictingStorage, users: UserService, user_id: UserId) -> None:
    await users.change(user_id, UserChanges(active=False))


async def remove(_: ConflictingStorage, users: UserService, user_id: UserId) -> None:
    await users.remove(user_id)


async def replace_password(storage: ConflictingStorage, _: UserService, user_id: UserId) -> None:
    await put_hash(storage, user_id, "hash of another horse")


async def rename(_: ConflictingStorage, users: UserService, user_id: UserId) -> None:
    await users.change(user_id, UserChanges(name="Ann Lee", email="lee@example.com"))


@pytest.mark.parametrize("action", [disable, remove, replace_password])
@pytest.mark.parametrize("kind", ["", "old "])
async def test_no_session_begins_for_a_user_who_may_no_longer_sign_in(
    sign_ins: SignInService, storage: ConflictingStorage, users: UserService, user: User, action: Callback, kind: str
) -> None:
    await put_hash(storage, user.id, f"{kind}hash of {PASSWORD}")
    storage.before_commit.append(lambda: action(storage, users, user.id))
    with pytest.raises(InvalidCredentials):
        await sign_in(sign_ins)
    assert await sessions_of(storage, user) == []
    if action is replace_password:
        assert await hash_of(storage, user) == "hash of another horse"


async def test_a_concurrently_renamed_user_still_signs_in(
    sign_ins: SignInService, storage: ConflictingStorage, users: UserService, user: User
) -> None:
    storage.before_commit.append(lambda: rename(storage, users, user.id))
    await sign_in(sign_ins)
    assert len(await sessions_of(storage, user)) == 1


# Sessions


async def test_sessions_that_have_expired_are_removed_at_a_sign_in(
    sign_ins: SignInService, storage: ConflictingStorage, clock: ManualClock, user: User
) -> None:
    left, kept = await sign_in(sign_ins), await sign_in(sign_ins)
    clock.move(days=6)
    kept = await sign_ins.refresh(kept.refresh_token)
    clock.move(days=1)
    assert len(await sessions_of(storage, user)) == 2
    await sign_in(sign_ins)
    assert len(await sessions_of(storage, user)) == 2
    with pytest.raises(InvalidRefreshToken):
        await sign_ins.refresh(left.refresh_token)
    await sign_ins.refresh(kept.refresh_token)


async def test_of_too_many_sessions_the_one_that_was_used_longest_ago_ends(
    sign_ins: SignInService, storage: ConflictingStorage, clock: ManualClock, user: User
) -> None:
    grants = []
    for _ in range(Session.MAX_PER_USER):
        clock.move(seconds=1)
        grants.append(await sign_in(sign_ins))
    clock.move(seconds=1)
    await sign_ins.refresh(grants[0].refresh_token)
    await sign_in(sign_ins)
    assert len(await sessions_of(storage, user)) == Session.MAX_PER_USER
    with pytest.raises(InvalidRefreshToken):
        await sign_ins.refresh(grants[1].refresh_token)
    for grant in (grants[0], *grants[2:]):
        await sign_ins.refresh(grant.refresh_token)


async def test_of_sessions_that_were_last_used_at_once_the_oldest_ends(
    sign_ins: SignInService, storage: ConflictingStorage, user: User
) -> None:
    tokens = [await sign_in(sign_ins) for _ in range(Session.MAX_PER_USER + 3)]
    assert len(await sessions_of(storage, user)) == Session.MAX_PER_USER
    for ended in tokens[:3]:
        with pytest.raises(InvalidRefreshToken):
            await sign_ins.refresh(ended.refresh_token)
    for kept in tokens[3:]:
        await sign_ins.refresh(kept.refresh_token)


async def test_a_sign_in_that_ends_a_concurrently_refreshed_session_succeeds(
    sign_ins: SignInService, storage: ConflictingStorage, clock: ManualClock, user: User
) -> None:
    first = await sign_in(sign_ins)
    for _ in range(Session.MAX_PER_USER - 1):
        clock.move(seconds=1)
        await sign_in(sign_ins)
    clock.move(seconds=1)
    storage.before_commit.append(lambda: sign_ins.refresh(first.refresh_token))
    await sign_in(sign_ins)
    assert len(await sessions_of(storage, user)) == Session.MAX_PER_USER
    await sign_ins.refresh(first.refresh_token)


async def test_two_who_refresh_at_once_get_the_same_token(
    sign_ins: SignInService, storage: ConflictingStorage, user: User
) -> None:
    token = (await sign_in(sign_ins)).refresh_token
    rivals = []

    async def refresh() -> None:
        rivals.append(await sign_ins.refresh(token))

    storage.before_commit.append(refresh)
    grant = await sign_ins.refresh(token)
    assert [rival.refresh_token for rival in rivals] == [grant.refresh_token]
    assert rivals[0].access_token != grant.access_token
    await sign_ins.refresh(grant.refresh_token)


async def test_a_reused_token_ends_the_session_even_during_a_refresh(
    sign_ins: SignInService, storage: ConflictingStorage, clock: ManualClock, user: User
) -> None:
    first = (await sign_in(sign_ins)).refresh_token
    second = (await sign_ins.refresh(first)).refresh_token
    clock.move(seconds=10.001)
    storage.before_commit.append(lambda: sign_ins.refresh(second))
    with pytest.raises(RefreshTokenReused):
        await sign_ins.refresh(first)
    assert await sessions_of(storage, user) == []


@pytest.mark.parametrize("action", [disable, remove])
async def test_a_user_who_may_no_longer_sign_in_cannot_refresh_a_session(
    sign_ins: SignInService, storage: ConflictingStorage, users: UserService, user: User, action: Callback
) -> None:
    token = (await sign_in(sign_ins)).refresh_token
    await action(storage, users, user.id)
    with pytest.raises(InvalidRefreshToken):
        await sign_ins.refresh(token)
    assert await sessions_of(storage, user) == []


@pytest.mark.parametrize("action", [disable, remove])
async def test_a_session_that_is_refreshed_while_its_user_loses_it_has_ended(
    sign_ins: SignInService, storage: ConflictingStorage, users: UserService, user: User, action: Callback
) -> None:
    token = (await sign_in(sign_ins)).refresh_token
    storage.before_commit.append(lambda: action(storage, users, user.id))
    with pytest.raises(InvalidRefreshToken):
        await sign_ins.refresh(token)
    assert await sessions_of(storage, user) == []


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
async def test_a_session_that_is_refreshed_while_it_is_revoked_has_ended(
    sign_ins: SignInService, storage: ConflictingStorage, user: User, kind: str
) -> None:
    grant = await sign_in(sign_ins)
    kept = await sign_in(sign_ins)
    storage.before_commit.append(lambda: sign_ins.refresh(grant.refresh_token))
    await sign_ins.revoke(getattr(grant, kind))
    assert len(await sessions_of(storage, user)) == 1
    await sign_ins.refresh(kept.refresh_token)


async def test_a_malformed_token_revokes_nothing(
    sign_ins: SignInService, storage: ConflictingStorage, user: User
) -> None:
    token = (await sign_in(sign_ins)).refresh_token
    made_up = token[:22] + token[22:][::-1]  # the id comes first
    for text in ("", "x", "é\0", made_up, "A" * 88):
        await sign_ins.revoke(text)
    await sign_ins.refresh(token)


async def test_what_a_grant_holds_is_not_in_its_repr(sign_ins: SignInService, user: User) -> None:
    grant = await sign_in(sign_ins)
    assert grant.access_token not in repr(grant)
    assert grant.refresh_token not in repr(grant)


async def test_a_session_that_ends_while_its_refresh_is_repeated_is_not_continued(
    sign_ins: SignInService, storage: ConflictingStorage, user: User
) -> None:
    first = (await sign_in(sign_ins)).refresh_token
    second = (await sign_ins.refresh(first)).refresh_token
    storage.before_commit.append(lambda: sign_ins.revoke(second))
    with pytest.raises(InvalidRefreshToken):
        await sign_ins.refresh(first)
