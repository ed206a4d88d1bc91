"""Export spans to a collector. Requests do not wait for a collector that cannot be reached."""

import logging
from collections.abc import Mapping, Sequence
from threading import Thread
from typing import Any, Final

from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter, SpanExportResult
from opentelemetry.trace import Tracer

from adapters.tracing.requests import DecidedIds, PrivateTracerProvider, RequestSampling

_SECONDS_TO_FLUSH: Final = 3.0

_log: Final = logging.getLogger("userport.traces")


class _ReportingExporter(SpanExporter):
    """Logs one line when an export fails for the first time, and one when exports succeed again.

    The library's own lines, which are silenced, repeat at every batch and may contain the collector's URL.
    """

    def __init__(self, inner: SpanExporter) -> None:
        self._inner = inner
        self._is_failing = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._inner.export(spans)
        is_failing = result is not SpanExportResult.SUCCESS
        if is_failing != self._is_failing:
            self._is_failing = is_failing
            _log.warning("traces are lost: the collector does not accept them" if is_failing else "traces go on")
        return result

    def shutdown(self) -> None:
        self._inner.shutdown()


class Tracing:
    """Records and exports the spans of this process. Variables that the SDK cannot parse raise `ValueError`."""

    def __init__(
        self, exporters: Sequence[str], service_version: str, *, root_ratio: float, has_service_name: bool
    ) -> None:
        """`root_ratio` is the configured sampling ratio of traces without a parent."""
        with _Strictness():
            name: Mapping[str, str] = {} if has_service_name else {SERVICE_NAME: "userport"}
            self._provider = TracerProvider(
                resource=Resource.create({**name, SERVICE_VERSION: service_version}),
                shutdown_on_exit=False,  # which has no time limit
                id_generator=DecidedIds(),
            )
            for exporter in exporters:
                self._provider.add_span_processor(BatchSpanProcessor(_ReportingExporter(_exporter(exporter))))
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        self.tracer: Final[Tracer] = self._provider.get_tracer("userport", service_version)
        self.of_requests: Final = PrivateTracerProvider(self._provider)
        self.sampling: Final = RequestSampling(self._provider.sampler, root_ratio)

    def shutdown(self) -> None:
        """Export the remaining spans, for three seconds at most."""
        thread = Thread(target=self._provider.shutdown, daemon=True)
        thread.start()
        thread.join(_SECONDS_TO_FLUSH)


def _exporter(name: str) -> SpanExporter:
    if name == "console":
        return ConsoleSpanExporter(formatter=lambda span: f"{span.to_json(indent=None)}\n")
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter()


class _Strictness(logging.Handler):
    """Raises where the SDK would warn and use a default. The warning is dropped: it may contain a value."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._warnings = 0
        self._log = logging.getLogger("opentelemetry")

    def emit(self, record: logging.LogRecord) -> None:
        self._warnings += 1

    def __enter__(self) -> None:
        self._log.setLevel(logging.NOTSET)
        self._log.addHandler(self)
        self._log.propagate = False

    def __exit__(self, *_: Any) -> None:
        self._log.removeHandler(self)
        self._log.propagate = True
        if self._warnings:
            raise ValueError("a variable has a value that is not understood")
