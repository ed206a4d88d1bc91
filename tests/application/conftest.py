import pytest

from adapters.runtime.domain_names import IdnaDomainNames
from adapters.runtime.ids import Uuid7Source
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
    """The secret of a storage that has been used before, so that no test meets the commit which creates it."""
    secret = StorageSecret(storage, SystemSecrets())
    await secret.digest()
    return secret


@pytest.fixture
def users(storage: ConflictingStorage, clock: ManualClock) -> UserService:
    passwords = Passwords(ReadableHasher(), OneCommonPassword())
    return UserService(storage, clock, Uuid7Source(), IdnaDomainNames(), passwords)


@pytest.fixture
def other_users(storage: ConflictingStorage, clock: ManualClock) -> UserService:
    """The service of another process, which knows nothing of what is under way in this one."""
    return UserService(
        storage, clock, Uuid7Source(), IdnaDomainNames(), Passwords(ReadableHasher(), OneCommonPassword())
    )


@pytest.fixture
def other_posts(storage: ConflictingStorage, clock: ManualClock) -> PostService:
    return PostService(storage, clock, Uuid7Source())


@pytest.fixture
def posts(storage: ConflictingStorage, clock: ManualClock) -> PostService:
    return PostService(storage, clock, Uuid7Source())
