import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Collection
from typing import Final, Literal, TypeAlias, TypeVar

from adapters.cache.client import CacheClient
from adapters.cache.config import CacheConfig
from adapters.cache.connection import Command
from adapters.cache.entries import EntryType
from domain.errors import DomainError, StorageUnavailable

T = TypeVar("T")

CountLookup: TypeAlias = Callable[[Literal["hit", "miss", "bypass"]], object]
"""Called once per lookup. A bypass means that Redis was unavailable, or that the record was being changed."""

# Together the maximum age of a cached value, by the clock of Redis alone.
_LEASE_MILLISECONDS: Final = 500
_ENTRY_MILLISECONDS: Final = 1_500

_MAX_AGE_SECONDS: Final = (_LEASE_MILLISECONDS + _ENTRY_MILLISECONDS) / 1_000
_BLOCK_MILLISECONDS: Final = 20_000  # longer than a commit takes
_GENERATION_MILLISECONDS: Final = 24 * 3_600_000
_TOKEN_BYTES: Final = 8
_LEASE: Final = b"L"

_FILL: Final = """
if redis.pcall('GET', KEYS[1]) == ARGV[1] and (not KEYS[2] or redis.pcall('GET', KEYS[2]) == ARGV[2]) then
  redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
end
"""

# Deleting is allowed even when Redis is out of memory, and adding to the set is allowed after it.
_BLOCK: Final = """
for _, key in ipairs(KEYS) do
  if redis.call('TYPE', key).ok ~= 'set' then redis.call('DEL', key) end
  redis.call('SADD', key, ARGV[1])
  redis.call('PEXPIRE', key, ARGV[2])
end
"""

_RELEASE: Final = """
for _, key in ipairs(KEYS) do
  if redis.call('TYPE', key).ok == 'set' then redis.call('SREM', key, ARGV[1]) else redis.call('DEL', key) end
end
"""


class Cache:
    """Implements the cache protocol, which the package's docstring explains, for one storage."""

    def __init__(self, config: CacheConfig, namespace: str, count_lookup: CountLookup = lambda _: None) -> None:
        """`namespace` separates storages that share a Redis."""
        self._prefix: Final = f"userport:{namespace}:"
        self._count: Final = count_lookup
        self._resume_at = 0.0  # after a change that Redis has missed, this process does not use it
        self.generation_key: Final = f"{self._prefix}generation"
        probe = f"{self._prefix}probe:{os.urandom(_TOKEN_BYTES).hex()}"  # no other process has its probe there
        self._client: Final = CacheClient(
            config,
            [_take(probe, b"", 1), _evaluate(_BLOCK, [probe], b"", 1), _evaluate(_RELEASE, [probe], b"")],
        )

    def key(self, entries: EntryType[T], id: str) -> str:  # noqa: A002 - as entities name it
        return f"{self._prefix}{entries.name}:{id}"

    async def get(self, entries: EntryType[T], id: str, load: Callable[[], Awaitable[T | None]]) -> T | None:  # noqa: A002
        """Return a value from the cache, or what `load` reads from the store. Raises what `load` raises."""
        if time.monotonic() < self._resume_at:
            self._count("bypass")
            return await load()
        key, lease, new_generation = self.key(entries, id), _LEASE + os.urandom(_TOKEN_BYTES), b""
        commands = [_take(key, lease, _LEASE_MILLISECONDS)]
        if entries.has_owner:
            new_generation = os.urandom(_TOKEN_BYTES)
            commands.insert(0, _take(self.generation_key, new_generation, _GENERATION_MILLISECONDS))
        replies = await self._client.execute(*commands)
        if replies is None or not all(reply is None or isinstance(reply, bytes) for reply in replies):
            self._count("bypass")
            return await load()
        *generations, found = replies
        generation = generations[0] if generations and isinstance(generations[0], bytes) else new_generation
        if isinstance(found, bytes) and (value := entries.decode(found, generation, id)) is not None:
            self._count("hit")
            return value
        self._count("miss")
        value = await load()
        if found is None and value is not None:
            self._fill(entries, key, lease, generation, value)
        return value

    async def commit(
        self, commit: Callable[[], Awaitable[None]], changed: Collection[str], required: Collection[str]
    ) -> None:
        """Call `commit`, which changes and requires the records under these keys. Raises what it raises."""
        token = os.urandom(_TOKEN_BYTES)
        try:
            if changed:
                await self._client.execute(_evaluate(_BLOCK, changed, token, _BLOCK_MILLISECONDS), retry=True)
        except asyncio.CancelledError:
            self._client.send(_evaluate(_RELEASE, changed, token))
            raise
        try:
            await commit()
        except StorageUnavailable:  # the outcome is unknown: it may still be applied
            raise
        except DomainError:
            # A required record may be stale in the cache: another writer may not use it.
            await self._release([*changed, *required], token)
            raise
        await self._release(changed, token)

    async def failure(self) -> str | None:
        """Return why Redis cannot be used, without any part of the URL; None if it can."""
        return await self._client.failure()

    async def close(self) -> None:
        await self._client.close()

    def _fill(self, entries: EntryType[T], key: str, lease: bytes, generation: bytes, value: T) -> None:
        keys = [key, self.generation_key] if entries.has_owner else [key]
        entry = entries.encode(value, generation)
        self._client.send(_evaluate(_FILL, keys, lease, generation, entry, _ENTRY_MILLISECONDS))

    async def _release(self, keys: Collection[str], token: bytes) -> None:
        if keys and await self._client.execute(_evaluate(_RELEASE, keys, token), retry=True) is None:
            self._resume_at = time.monotonic() + _MAX_AGE_SECONDS


def _take(key: str, value: bytes, milliseconds: int) -> Command:
    """Return the command that sets a key if it is absent, and replies with the previous value."""
    return ("SET", key, value, "NX", "GET", "PX", milliseconds)


def _evaluate(script: str, keys: Collection[str], *arguments: bytes | int) -> Command:
    return ("EVAL", script, len(keys), *keys, *arguments)
