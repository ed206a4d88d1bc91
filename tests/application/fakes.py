"""Fakes of the ports that use cases depend on."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from adapters.memory.storage import MemoryStorage, MemoryUnitOfWork
from domain.values import Password

Callback = Callable[[], Awaitable[object]]


class ManualClock:
    """A clock that only tests move, even backwards."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 20, 20, 36, 0, 123_456, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def move(self, **by: float) -> None:
        self.time += timedelta(**by)


class ReadableHasher:
    """Stores passwords readably, so that a test can see which one was stored."""

    async def hash(self, password: Password) -> str:
        return f"hash of {password.secret}"

    async def verify(self, password: Password, password_hash: str | None) -> bool:
        return password_hash is not None and password_hash.removeprefix("old ") == f"hash of {password.secret}"

    def is_outdated(self, password_hash: str, password: Password | None = None) -> bool:
        return password_hash.startswith("old ")

    def can_verify(self, password_hash: str) -> bool:
        return password_hash.startswith(("hash of ", "old "))


class OneCommonPassword:
    def __contains__(self, password: Password, /) -> bool:
        return password.secret.lower() == "iloveyou123"


class ConflictingStorage(MemoryStorage):
    """Storage that runs the next of the `before_commit` callbacks before each commit, to cause conflicts."""

    def __init__(self) -> None:
        super().__init__()
        self.before_commit: list[Callback] = []

    def unit_of_work(self) -> MemoryUnitOfWork:
        unit = super().unit_of_work()
        commit = unit.commit

        async def commit_after_callback() -> None:
            if self.before_commit:
                await self.before_commit.pop(0)()
            await commit()

        unit.commit = commit_after_callback  # type: ignore[method-assign] # the only hook before a commit
        return unit
