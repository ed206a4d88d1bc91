"""OpenTelemetry spans. They contain names and types, and never a value that a user or an operator chose."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer


@contextmanager
def span_of(tracer: Tracer, name: str, kind: SpanKind, attributes: Mapping[str, str]) -> Iterator[Span]:
    """Record a span. An exception is recorded by its type alone, because its text may contain a value."""
    with tracer.start_as_current_span(
        name, kind=kind, attributes=attributes, record_exception=False, set_status_on_exception=False
    ) as span:
        try:
            yield span
        except Exception as error:
            span.set_attribute("error.type", type(error).__qualname__)
            span.set_status(StatusCode.ERROR)
            raise
