import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final, TypeAlias

import pytest

from adapters.memory.storage import MemoryStorage, MemoryUnitOfWork
from adapters.security.access_tokens import JwtSigner
from adapters.security.signing_keys import SigningKeys
from application.ports import AccessTokenClaims
from application.principal import Principal
from application.sessions.token_authenticator import TokenAuthenticator
from application.sessions.token_issuer import ACCESS_LIFETIME
from domain.errors import InvalidAccessToken, StorageUnavailable
from domain.refresh_token import RefreshToken
from domain.session import SESSIONS, Session
from domain.user import Role, User
from domain.values import Email, Name, SessionId, UserId
from tests.application.fakes import ManualClock

SIGNING_KEYS: Final = SigningKeys.new()
USER_ID: Final = UserId("0193a7c5-0000-7000-8000-000000000000")
SESSION_ID: Final = SessionId("0193a7c5-0000-7000-8000-000000000001")


End: TypeAlias = Callable[[MemoryStorage], Awaitable[None]]


class WatchedStorage(MemoryStorage):
    """Storage that counts reads of sessions, and can delay or fail them."""

    def __init__(self) -> None:
        super().__init__()
        self.readings = 0
        self.failure: Exception | None = None
        self.action: Callable[[], None] = lambda: None
        self.open = asyncio.Event()
        self.open.set()

    def unit_of_work(self) -> MemoryUnitOfWork:
        unit = super().unit_of_work()
        sessions = unit.records(SESSIONS)
        get = sessions.get

        async def get_watched(session_id: str) -> Session | None:
            self.readings += 1
            await self.open.wait()
            self.action()
            if self.failure is not None:
                raise self.failure
            return await get(session_id)

        sessions.get = get_watched  # type: ignore[method-assign, assignment] # every check reads the session
        unit.records = lambda _: sessions  # type: ignore[method-assign, assignment, return-value]
        return unit


class CountingSigner(JwtSigner):
    verified = 0

    def verify(self, token: str, now: datetime) -> AccessTokenClaims:
        self.verified += 1
        return super().verify(token, now)


class Stopwatch:
    seconds = 0.0

    def move(self) -> None:
        self.seconds += 5

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def stopwatch() -> Stopwatch:
    return Stopwatch()


@pytest.fixture
def storage() -> WatchedStorage:
    return WatchedStorage()


@pytest.fixture
def signer() -> CountingSigner:
    return CountingSigner(SIGNING_KEYS, issuer="userport", audience="userport")


@pytest.fixture
def authenticator(
    storage: WatchedStorage, clock: ManualClock, signer: CountingSigner, stopwatch: Stopwatch
) -> TokenAuthenticator:
    return TokenAuthenticator(storage, clock, signer, stopwatch)


@pytest.fixture
async def user(storage: WatchedStorage, clock: ManualClock) -> User:
    """A user with a session."""
    user = User.register(id=USER_ID, now=clock.now(), email=Email.parse("ann@example.com"), name=Name("Ann"))
    token = RefreshToken.first(SESSION_ID, bytes(RefreshToken.SECRET_BYTES), "salt")
    unit = storage.unit_of_work()
    unit.users.add(user)
    unit.records(SESSIONS).add(
        Session.begin(token=token, salt="salt", user_id=user.id, user_agent=None, place=None, now=clock.now())
    )
    await unit.commit()
    return user


@pytest.fixture
def token(user: User, signer: CountingSigner, clock: ManualClock) -> str:
    """An access token of the user's session."""
    now = clock.now()
    claims = AccessTokenClaims(user_id=user.id, session_id=SESSION_ID, role=user.role, expires_at=now + ACCESS_LIFETIME)
    return signer.sign(claims, now)


async def waiting(*calls: Awaitable[Principal]) -> Sequence[asyncio.Future[Principal]]:
    """Start calls, and return when all of them wait."""
    begun = [asyncio.ensure_future(call) for call in calls]
    for _ in range(10):
        await asyncio.sleep(0)
    return begun


async def save(storage: WatchedStorage, user: User) -> None:
    unit = storage.unit_of_work()
    unit.users.save(user)
    await unit.commit()


async def end_session(storage: MemoryStorage) -> None:
    unit = storage.unit_of_work()
    for session in await unit.records(SESSIONS).page(owner=USER_ID, limit=1_000):
        unit.records(SESSIONS).remove(session)
    await unit.commit()


async def remove_user(storage: MemoryStorage) -> None:
    unit = storage.unit_of_work()
    user = await unit.users.get(USER_ID)
    assert user is not None
    unit.users.remove(user)
    await unit.commit()


async def disable_user(storage: MemoryStorage) -> None:
    unit = storage.unit_of_work()
    user = await unit.users.get(USER_ID)
    assert user is not None
    unit.users.save(user.change(now=user.updated_at, active=False))
    await unit.commit()


async def test_a_token_speaks_for_its_user(authenticator: TokenAuthenticator, token: str) -> None:
    assert await authenticator.authenticate(token) == Principal(USER_ID, SESSION_ID, is_admin=False)


async def test_a_busy_token_is_verified_once_and_looked_up_twice_a_second(
    authenticator: TokenAuthenticator, token: str, storage: WatchedStorage, signer: CountingSigner, stopwatch: Stopwatch
) -> None:
    for _ in range(100):
        await authenticator.authenticate(token)
        stopwatch.seconds += 0.03
    assert (signer.verified, storage.readings) == (1, 6)


async def test_calls_that_come_together_learn_it_from_one_reading(
    authenticator: TokenAuthenticator, token: str, storage: WatchedStorage
) -> None:
    callers = await asyncio.gather(*(authenticator.authenticate(token) for _ in range(50)))
    assert set(callers) == {Principal(USER_ID, SESSION_ID, is_admin=False)}
    assert storage.readings == 1


async def test_readings_that_take_long_serve_all_who_wait(
    authenticator: TokenAuthenticator, token: str, storage: WatchedStorage, stopwatch: Stopwatch
) -> None:
    storage.action = stopwatch.move
    storage.open.clear()
    begun = await waiting(*(authenticator.authenticate(token) for _ in range(50)))
    stopwatch.move()
    later = await waiting(*(authenticator.authenticate(token) for _ in range(50)))
    storage.open.set()
    await asyncio.gather(*begun, *later)
    assert storage.readings == 2  # the first read may be older than the later calls


@pytest.mark.parametrize("end", [end_session, disable_user, remove_user])
async def test_a_revoked_token_is_rejected_within_half_a_second(
    authenticator: TokenAuthenticator, token: str, storage: WatchedStorage, stopwatch: Stopwatch, end: End
) -> None:
    await authenticator.authenticate(token)
    await end(storage)
    stopwatch.seconds += 0.5
    for refused in await asyncio.gather(
        *(authenticator.authenticate(token) for _ in range(20)), return_exceptions=True
    ):
        assert isinstance(refused, InvalidAccessToken)
    assert storage.readings == 2


async def test_a_token_that_was_refused_is_forgotten(
    authenticator: TokenAuthenticator, token: str, storage: WatchedStorage, signer: CountingSigner, stopwatch: Stopwatch
) -> None:
    await authenticator.authenticate(token)
    await end_session(storage)
    for times in range(1, 4):
        stopwatch.seconds += 0.5
        with pytest.raises(InvalidAccessToken):
            await authenticator.authenticate(token)
        assert signer.verified == times


async def test_a_role_that_was_given_or_taken_away_counts_rather_than_that_of_the_token(
    authenticator: TokenAuthenticator,
    token: str,
    user: User,
    storage: WatchedStorage,
    stopwatch: Stopwatch,
    clock: ManualClock,
) -> None:
    admin = user.change(now=clock.now(), role=Role.ADMIN)
    for state in (admin, admin.change(now=clock.now(), role=Role.MEMBER)):
        await save(storage, state)
        stopwatch.seconds += 0.5
        assert (await authenticator.authenticate(token)).is_admin is state.is_active_admin


async def test_a_token_expires_at_once_and_is_forgotten(
    authenticator: TokenAuthenticator, token: str, storage: WatchedStorage, clock: ManualClock, stopwatch: Stopwatch
) -> None:
    await authenticator.authenticate(token)
    clock.move(seconds=ACCESS_LIFETIME.total_seconds())
    for _ in range(2):
        with pytest.raises(InvalidAccessToken):
            await authenticator.authenticate(token)
    assert storage.readings == 1


async def test_an_expired_session_authenticates_no_one(
    authenticator: TokenAuthenticator, user: User, signer: CountingSigner, storage: WatchedStorage, clock: ManualClock
) -> None:
    clock.move(days=7)
    claims = AccessTokenClaims(
        user_id=user.id, session_id=SESSION_ID, role=user.role, expires_at=clock.now() + ACCESS_LIFETIME
    )
    with pytest.raises(InvalidAccessToken):
        await authenticator.authenticate(signer.sign(claims, clock.now()))
    assert storage.readings == 1


async def test_a_token_for_another_users_session_authenticates_no_one(
    authenticator: TokenAuthenticator, user: User, signer: CountingSigner, clock: ManualClock
) -> None:
    other = UserId("0193a7c5-0000-7000-8000-000000000002")
    expires_at = clock.now() + ACCESS_LIFETIME
    claims = AccessTokenClaims(user_id=other, session_id=SESSION_ID, role=Role.ADMIN, expires_at=expires_at)
    with pytest.raises(InvalidAccessToken):
        await authenticator.authenticate(signer.sign(claims, clock.now()))


async def test_nothing_is_taken_for_granted_while_the_storage_is_away_and_it_heals(
    authenticator: TokenAuthenticator, token: str, storage: WatchedStorage, stopwatch: Stopwatch
) -> None:
    await authenticator.authenticate(token)
    stopwatch.seconds += 0.5
    storage.failure = StorageUnavailable()
    for _ in range(3):
        with pytest.raises(StorageUnavailable):
            await authenticator.authenticate(token)
        stopwatch.seconds += 0.001
    storage.failure = None
    assert await authenticator.authenticate(token) == Principal(USER_ID, SESSION_ID, is_admin=False)


async def test_a_storage_that_is_away_is_waited_for_together(
    authenticator: TokenAuthenticator, token: str, storage: WatchedStorage, stopwatch: Stopwatch
) -> None:
    storage.open.clear()
    storage.failure = StorageUnavailable()
    begun = await waiting(*(authenticator.authenticate(token) for _ in range(50)))
    storage.open.set()
    for refused in await asyncio.gather(*begun, return_exceptions=True):
        assert isinstance(refused, StorageUnavailable)
    assert storage.readings == 1


async def test_a_call_that_comes_while_the_storage_is_waited_for_waits_no_second_time(
    authenticator: TokenAuthenticator, token: str, storage: WatchedStorage, stopwatch: Stopwatch
) -> None:
    storage.action = stopwatch.move
    storage.open.clear()
    storage.failure = StorageUnavailable()
    begun = await waiting(authenticator.authenticate(token))
    stopwatch.seconds += 1
    later = await waiting(authenticator.authenticate(token), authenticator.authenticate(token, bypass_cache=True))
    storage.open.set()
    for refused in await asyncio.gather(*begun, *later, return_exceptions=True):
        assert isinstance(refused, StorageUnavailable)
    assert storage.readings == 1


@pytest.mark.parametrize("cancelled", [0, 1, 2])
async def test_a_call_that_is_given_up_harms_no_other(
    authenticator: TokenAuthenticator, token: str, storage: WatchedStorage, cancelled: int
) -> None:
    storage.open.clear()
    begun = await waiting(*(authenticator.authenticate(token) for _ in range(3)))
    begun[cancelled].cancel()
    await waiting()
    storage.open.set()
    ended = await asyncio.gather(*begun, return_exceptions=True)
    assert isinstance(ended.pop(cancelled), asyncio.CancelledError)
    assert ended == [Principal(USER_ID, SESSION_ID, is_admin=False)] * 2
