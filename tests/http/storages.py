"""A storage with failures on demand."""

from adapters.memory.storage import MemoryStorage, MemoryUnitOfWork


class FailingStorage(MemoryStorage):
    """Raises `failure` from every call while it is set."""

    def __init__(self) -> None:
        super().__init__()
        self.failure: Exception | None = None

    def unit_of_work(self) -> MemoryUnitOfWork:
        self._fail()
        return super().unit_of_work()

    async def ping(self) -> None:
        self._fail()
        await super().ping()

    def _fail(self) -> None:
        if self.failure is not None:
            raise self.failure
