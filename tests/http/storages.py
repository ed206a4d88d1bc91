"""A storage that can be told to fail."""

from adapters.memory.storage import MemoryStorage, MemoryUnitOfWork


class FailingStorage(MemoryStorage):
    """Does nothing but raise `failure` for as long as there is one."""

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
