import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from argon2 import PasswordHasher, Type

from domain.errors import TooBusy
from domain.values import Password

_AT_ONCE: Final = 2
_WAITING: Final = 32


class Argon2PasswordHasher:
    """Argon2id with the parameters of OWASP's Password Storage Cheat Sheet, in a few threads of its own.

    The library lets go of the interpreter while it works, so other requests are served meanwhile. Each hash takes
    19 MiB, so few are made at once; beyond `_WAITING` in the queue `hash` raises `TooBusy`.
    """

    def __init__(self) -> None:
        self._argon2 = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1, type=Type.ID)
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="argon2")
        self._pending = 0

    async def hash(self, password: Password) -> str:
        if self._pending >= _AT_ONCE + _WAITING:
            raise TooBusy
        self._pending += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._argon2.hash, password.secret)
        finally:
            self._pending -= 1
