import pytest

from adapters.runtime.domain_names import IdnaDomainNames
from adapters.runtime.system import Uuid7Source
from adapters.security.system_secrets import SystemSecrets
from application.passwords import Passwords
from application.posts.service import PostService
from application.storage_secret import StorageSecret
from application.users.service import UserService
from tests.application.fakes import ConflictingStorage, ManualClock, OneCommonPassword, ReadableHasher


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def storage() -> ConflictingStorage:
    return ConflictingStorage()


@pytest.fixture
async def secret(storage: ConflictingStorage) -> StorageSecret:
    """The secret of a storage that is already in use, so that no test sees the commit that creates it."""
    secret = StorageSecret(storage, SystemSecrets())
    await secret.digest()
    return secret


@pytest.fixture
def users(storage: ConflictingStorage, clock: ManualClock) -> UserService:
    passwords = Passwords(ReadableHasher(), OneCommonPassword())
    return UserService(storage, clock, Uuid7Source(), IdnaDomainNames(), passwords)


@pytest.fixture
def other_users(storage: ConflictingStorage, clock: ManualClock) -> UserService:
    """The same service in another process, which shares nothing with this one but the storage."""
    return UserService(
        storage, clock, Uuid7Source(), IdnaDomainNames(), Passwords(ReadableHasher(), OneCommonPassword())
    )


@pytest.fixture
def other_posts(storage: ConflictingStorage, clock: ManualClock) -> PostService:
    return PostService(storage, clock, Uuid7Source())


@pytest.fixture
def posts(storage: ConflictingStorage, clock: ManualClock) -> PostService:
    return PostService(storage, clock, Uuid7Source())
