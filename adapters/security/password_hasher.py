import asyncio
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from secrets import token_bytes
from typing import Final, TypeVar

from argon2 import PasswordHasher, Type
from argon2.low_level import ARGON2_VERSION

from adapters.security.hash_formats.argon2 import Argon2Hash
from adapters.security.hash_formats.bcrypt import BcryptHash
from adapters.security.hash_formats.formats import parse_hash
from domain.errors import TooBusy
from domain.values import Password

T = TypeVar("T")

_WAITING: Final = 64
_NICENESS: Final = 10


class ThreadedPasswordHasher:
    """Argon2id with the parameters of OWASP's Password Storage Cheat Sheet. Also verifies foreign hashes.

    A few low-priority threads do the work, one for every two processors, so other requests are served at the same time.
    Raises `TooBusy` when more than `_WAITING` calls are queued.
    """

    def __init__(self) -> None:
        self._argon2 = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1, type=Type.ID)
        # A hash without a user, and the standard that other hashes are compared with.
        self._decoy = Argon2Hash(
            type=self._argon2.type,
            version=ARGON2_VERSION,
            kibibytes=self._argon2.memory_cost,
            passes=self._argon2.time_cost,
            lanes=self._argon2.parallelism,
            salt=token_bytes(self._argon2.salt_len),
            digest=token_bytes(self._argon2.hash_len),
        )
        self._at_once = max(1, _processors() // 2)
        self._threads = ThreadPoolExecutor(self._at_once, "password-hash", initializer=_lower_priority)
        self._pending = 0

    async def hash(self, password: Password) -> str:
        return await self._run(partial(self._argon2.hash, password.secret))

    async def verify(self, password: Password, password_hash: str | None) -> bool:
        known = None if password_hash is None else parse_hash(password_hash)
        return await self._run(partial((known or self._decoy).matches, password.secret.encode()))

    def is_outdated(self, password_hash: str, password: Password | None = None) -> bool:
        known = parse_hash(password_hash)
        if (
            isinstance(known, BcryptHash)
            and password is not None
            and not known.uses_every_byte(password.secret.encode())
        ):
            return False  # the ignored bytes may be wrong, and a new hash would make them count
        return not (isinstance(known, Argon2Hash) and known.is_as_strong_as(self._decoy))

    def can_verify(self, password_hash: str) -> bool:
        return parse_hash(password_hash) is not None

    async def _run(self, work: Callable[[], T]) -> T:
        if self._pending >= self._at_once + _WAITING:
            raise TooBusy
        self._pending += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._pending -= 1


def _processors() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _lower_priority() -> None:
    """Lower the priority of this thread below the process's. Only Linux has a priority per thread."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + _NICENESS)
