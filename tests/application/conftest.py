import pytest

from adapters.runtime.domain_names import IdnaDomainNames
from adapters.runtime.ids import Uuid7Source
from adapters.security.system_secrets import SystemSecrets
from application.passwords import Passwords
from application.posts.service import PostService
from application.storage_secret import StorageSecret
from application.users.service import UserService
from tests.application.surroundings import OneCommonPassword, ReadableHasher, RivalledStorage, WoundClock


@pytest.fixture
def clock() -> WoundClock:
    return WoundClock()


@pytest.fixture
def storage() -> RivalledStorage:
    return RivalledStorage()


@pytest.fixture
async def secret(storage: RivalledStorage) -> StorageSecret:
    """The secret of a storage that has been used before, so that no test meets the commit which creates it."""
    secret = StorageSecret(storage, SystemSecrets())
    await secret.digest()
    return secret


@pytest.fixture
def users(storage: RivalledStorage, clock: WoundClock) -> UserService:
    passwords = Passwords(ReadableHasher(), OneCommonPassword())
    return UserService(storage, clock, Uuid7Source(), IdnaDomainNames(), passwords)


@pytest.fixture
def other_users(storage: RivalledStorage, clock: WoundClock) -> UserService:
    """The service of another process, which knows nothing of what is under way in this one."""
    return UserService(
        storage, clock, Uuid7Source(), IdnaDomainNames(), Passwords(ReadableHasher(), OneCommonPassword())
    )


@pytest.fixture
def other_posts(storage: RivalledStorage, clock: WoundClock) -> PostService:
    return PostService(storage, clock, Uuid7Source())


@pytest.fixture
def posts(storage: RivalledStorage, clock: WoundClock) -> PostService:
    return PostService(storage, clock, Uuid7Source())
