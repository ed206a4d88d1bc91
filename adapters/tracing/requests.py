"""Make FastAPI's telemetry cheap and private."""

import random
from collections.abc import MutableMapping, Sequence
from contextvars import ContextVar
from typing import Any, Final

from opentelemetry import context as current_context
from opentelemetry.context import Context
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision, Sampler, TraceIdRatioBased
from opentelemetry.trace import Link, Span, SpanKind, Tracer, TracerProvider, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import Attributes

_ALLOWED: Final = frozenset({"http.request.method", "network.protocol.version", "url.scheme"})
"""Attributes of a new span. Others, such as path, query and host, contain what a client sends."""

_decided_trace_id: Final[ContextVar[int | None]] = ContextVar("decided_trace_id", default=None)


class DecidedIds(RandomIdGenerator):
    """An id generator that reuses the trace id for which `RequestSampling` made its decision."""

    def generate_trace_id(self) -> int:
        decided = _decided_trace_id.get()
        if decided is None:
            return super().generate_trace_id()
        _decided_trace_id.set(None)
        return decided


class RequestSampling:
    """Samples requests before FastAPI creates a span, which costs a tenth of a request even if it is dropped."""

    def __init__(self, sampler: Sampler, root_ratio: float) -> None:
        """`root_ratio` is the sampling ratio of requests without a parent."""
        self._sampler = sampler
        self._root_bound = TraceIdRatioBased.get_bound_for_rate(root_ratio)
        self._new_trace_id = RandomIdGenerator().generate_trace_id
        self._propagator = TraceContextTextMapPropagator()

    def excludes(self, scope: MutableMapping[str, Any]) -> bool:
        """Return whether a request is not sampled. The log then uses the caller's trace context, if any."""
        for name, _ in scope["headers"]:
            if name == b"traceparent":
                return self._excludes_child(scope)
        second_half = random.getrandbits(64)
        if second_half < self._root_bound:  # as the SDK's samplers decide
            trace_id = random.getrandbits(64) << 64 | second_half
            _decided_trace_id.set(trace_id)  # in the context of this request's task
            return False
        return True

    def _excludes_child(self, scope: MutableMapping[str, Any]) -> bool:
        parent = self._propagator.extract(dict(_trace_headers(scope)))
        trace_id = get_current_span(parent).get_span_context().trace_id or self._new_trace_id()
        if self._sampler.should_sample(parent, trace_id, "", SpanKind.SERVER).decision is Decision.RECORD_AND_SAMPLE:
            _decided_trace_id.set(trace_id)
            return False
        current_context.attach(parent)
        return True


def _trace_headers(scope: MutableMapping[str, Any]) -> Sequence[tuple[str, str]]:
    headers = [each for each in scope["headers"] if each[0] in (b"traceparent", b"tracestate")]
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in reversed(headers)]  # the first counts


class PrivateTracerProvider(TracerProvider):
    """Creates tracers whose spans omit attributes that contain client input."""

    def __init__(self, inner: TracerProvider) -> None:
        self._inner = inner

    def get_tracer(self, *args: Any, **options: Any) -> Tracer:
        return _PrivateTracer(self._inner.get_tracer(*args, **options))


class _PrivateTracer(Tracer):
    def __init__(self, inner: Tracer) -> None:
        self._inner = inner

    def start_span(
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> Span:
        allowed = {key: value for key, value in (attributes or {}).items() if key in _ALLOWED}
        return self._inner.start_span(
            name, context, kind, allowed, links, start_time, record_exception, set_status_on_exception
        )

    def start_as_current_span(self, *args: Any, **options: Any) -> Any:
        """Raise: FastAPI starts such spans only for operations, which are off."""
        raise NotImplementedError
