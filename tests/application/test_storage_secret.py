import asyncio

from adapters.memory.storage import MemoryStorage
from adapters.security.system_secrets import SystemSecrets
from application.storage_secret import StorageSecret
from domain.secret import SECRETS
from tests.application.fakes import ConflictingStorage


def secret_of(storage: MemoryStorage) -> StorageSecret:
    """Return the secret as another process reads it."""
    return StorageSecret(storage, SystemSecrets())


async def test_all_processes_of_a_storage_make_the_same_digests() -> None:
    storage = ConflictingStorage()
    digests = []

    async def rival() -> None:
        digests.append(await secret_of(storage).digest("ann", "192.0.2.1"))

    storage.before_commit.append(rival)
    await rival()
    digests += await asyncio.gather(*(secret_of(storage).digest("ann", "192.0.2.1") for _ in range(5)))
    assert len(digests) == 7
    assert len(set(digests)) == 1
    assert len(await storage.unit_of_work().records(SECRETS).page(limit=10)) == 1


async def test_no_two_storages_make_the_same_digests() -> None:
    assert await secret_of(MemoryStorage()).digest("ann") != await secret_of(MemoryStorage()).digest("ann")


async def test_other_texts_have_other_digests() -> None:
    secret = secret_of(MemoryStorage())
    texts = [(), ("",), ("a", "b"), ("b", "a"), ("ab",), ("a\0b",), ("a,b",), ('a", "b',), ("\ud800",)]
    assert len({await secret.digest(*parts) for parts in texts}) == len(texts)


async def test_the_repr_of_a_secret_reveals_nothing() -> None:
    storage = MemoryStorage()
    await secret_of(storage).digest()
    (stored,) = await storage.unit_of_work().records(SECRETS).page(limit=10)
    assert len(stored.value) == 32
    assert "value" not in repr(stored)
    assert SECRETS.secrets == {"value"}
    assert SECRETS.owner is None  # so no export of users includes it
