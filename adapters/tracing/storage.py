"""A storage with a span for each call, below the span of a request or job that is sampled."""

from collections.abc import Awaitable, Callable
from inspect import iscoroutinefunction
from typing import Any, Final, cast

from opentelemetry.context import get_current
from opentelemetry.trace import SpanKind, Tracer, get_current_span

from adapters.tracing.spans import span_of
from domain.records import R, RecordType
from domain.storage import Records, Storage, UnitOfWork, UserRepository

_READS: Final = frozenset(
    name for port in (UserRepository, Records) for name, member in vars(port).items() if iscoroutinefunction(member)
)


class TracedStorage:
    """Adds spans to the calls of another storage. Outside a sampled span, a call only checks the current span."""

    def __init__(self, inner: Storage, tracer: Tracer, system: str) -> None:
        """`system` is the kind of database, such as `postgresql`."""
        self._inner = inner
        self._traced = _Traced(tracer, system)

    def unit_of_work(self) -> UnitOfWork:
        unit = self._inner.unit_of_work()
        return _TracedUnitOfWork(unit, self._traced) if get_current() and get_current_span().is_recording() else unit

    async def prepare(self) -> None:
        await self._inner.prepare()

    async def ping(self) -> None:
        if get_current_span().is_recording():
            await self._traced.call(self._inner.ping, "ping")
        else:
            await self._inner.ping()

    async def close(self) -> None:
        await self._inner.close()


class _Traced:
    """Calls with spans, named by the semantic conventions for databases."""

    def __init__(self, tracer: Tracer, system: str) -> None:
        self._tracer = tracer
        self._system = system

    async def call(
        self,
        method: Callable[..., Awaitable[Any]],
        operation: str,
        collection: str | None = None,
        /,
        *args: Any,
        **kw: Any,
    ) -> Any:
        attributes = {"db.system.name": self._system, "db.operation.name": operation}
        name = f"storage.{operation}"
        if collection is not None:
            attributes["db.collection.name"] = collection
            name = f"storage.{collection}.{operation}"
        with span_of(self._tracer, name, SpanKind.CLIENT, attributes):
            return await method(*args, **kw)


class _TracedReads:
    """A repository whose reads have spans; writes are only staged."""

    def __init__(self, inner: Any, traced: _Traced, collection: str) -> None:
        self._inner = inner
        self._traced = traced
        self._collection = collection

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        if name not in _READS:
            return method

        def call(*args: Any, **kw: Any) -> Awaitable[Any]:
            return self._traced.call(method, name, self._collection, *args, **kw)

        return call


class _TracedUnitOfWork:
    def __init__(self, inner: UnitOfWork, traced: _Traced) -> None:
        self._inner = inner
        self._traced = traced
        self.users = cast(UserRepository, _TracedReads(inner.users, traced, "users"))

    def records(self, record_type: RecordType[R]) -> Records[R]:
        return cast("Records[R]", _TracedReads(self._inner.records(record_type), self._traced, record_type.name))

    async def commit(self) -> None:
        await self._traced.call(self._inner.commit, "commit")
