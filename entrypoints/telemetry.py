"""Traces, if OpenTelemetry's standard variables ask for them; the SDK is imported only then."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from dependency_injector.providers import Object

from application.jobs.runner import JobRunner
from domain.storage import Storage
from entrypoints.environment import SettingsError
from entrypoints.settings import Settings
from entrypoints.version import version

if TYPE_CHECKING:
    from fastapi.telemetry import TelemetryConfig

    from adapters.tracing.export import Tracing
    from entrypoints.container import Container

_EXPORTERS: Final = ("otlp", "console", "none")
_RATIO_SAMPLERS: Final = ("traceidratio", "parentbased_traceidratio")
_SAMPLERS: Final = (
    "always_on",
    "always_off",
    "parentbased_always_on",
    "parentbased_always_off",
    *_RATIO_SAMPLERS,
)
_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_HTTP: Final = "http/protobuf"


def check_telemetry() -> None:
    """Raise `SettingsError` for a wrong variable, in a process without spans of its own."""
    tracing = _open()
    if tracing is not None:
        tracing.shutdown()


def start_tracing(container: "Container") -> None:
    """Trace requests, storage and jobs of a container if the environment asks for it. Raise `SettingsError`.

    Call it before anything uses the storage.
    """
    tracing = _open()
    if tracing is not None:
        container.tracing.override(Object(tracing))


def trace_storage(storage: Storage, settings: Settings, tracing: "Tracing | None") -> Storage:
    """Wrap a storage to record a span for each call; without tracing, return it as it is."""
    if tracing is None:
        return storage
    from adapters.tracing.storage import TracedStorage

    return TracedStorage(storage, tracing.tracer, system=settings.storage.partition(":")[0])


def trace_jobs(tracing: "Tracing | None", *arguments: Any, **options: Any) -> JobRunner:
    if tracing is None:
        return JobRunner(*arguments, **options)
    from adapters.tracing.jobs import TracedJobRunner

    return TracedJobRunner(*arguments, tracer=tracing.tracer, **options)


def request_telemetry(tracing: "Tracing") -> "TelemetryConfig":
    """Return FastAPI's configuration for spans of requests, and nothing else."""
    return {
        "tracer_provider": tracing.of_requests,
        "tracing": True,
        "metrics": False,
        "logs": False,
        "operation_spans": False,
        "auto_configure": False,
    }


def _open() -> "Tracing | None":
    exporters = _exporters()
    if not exporters:
        return None
    root_ratio = _root_ratio()
    if "otlp" in exporters:
        _check_protocol()
        _check_endpoint()
    try:
        from adapters.tracing.export import Tracing

        return Tracing(exporters, version(), root_ratio=root_ratio, has_service_name=_has_service_name())
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"OTEL_ variables ask for traces: pip install 'userport[telemetry]' ({error.name})"
        ) from None
    except ValueError:
        names = ", ".join(sorted(name for name, value in os.environ.items() if name.startswith("OTEL_") and value))
        raise SettingsError(f"one of these variables is wrong: {names}") from None


def _exporters() -> Sequence[str]:
    """Return the configured exporters: none unless an exporter or an endpoint is named."""
    if _value("OTEL_SDK_DISABLED").lower() == "true":
        return ()
    default = "otlp" if any(map(_value, _ENDPOINTS)) else "none"
    names = [name.strip().lower() for name in (_value("OTEL_TRACES_EXPORTER") or default).split(",")]
    _check("OTEL_TRACES_EXPORTER", names, _EXPORTERS)
    return [name for name in names if name != "none"]


def _root_ratio() -> float:
    """Return the sampling ratio of traces that begin in this service."""
    sampler = _value("OTEL_TRACES_SAMPLER").lower() or _SAMPLERS[2]
    _check("OTEL_TRACES_SAMPLER", [sampler], _SAMPLERS)
    if sampler not in _RATIO_SAMPLERS:
        return 0.0 if sampler.endswith("always_off") else 1.0
    try:
        ratio = float(_value("OTEL_TRACES_SAMPLER_ARG"))
    except ValueError:
        ratio = -1.0
    if not 0 <= ratio <= 1:
        raise SettingsError("OTEL_TRACES_SAMPLER_ARG is wrong: write a ratio from 0 to 1, such as 0.01")
    return ratio


def _check_protocol() -> None:
    for variable in _PROTOCOLS:
        _check(variable, [_value(variable) or _HTTP], (_HTTP,))


def _check_endpoint() -> None:
    for variable in filter(_value, _ENDPOINTS):
        try:
            url = urlsplit(_value(variable))
            is_url = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
        except ValueError:
            is_url = False
        if not is_url:
            raise SettingsError(f"{variable} is wrong: write it as http://collector.example.com:4318")


def _check(variable: str, values: Sequence[str], known: Sequence[str]) -> None:
    if not set(values) <= set(known):
        raise SettingsError(f"{variable} is wrong: write {' or '.join(known)}")


def _has_service_name() -> bool:
    return bool(_value("OTEL_SERVICE_NAME")) or "service.name=" in _value("OTEL_RESOURCE_ATTRIBUTES")


def _value(variable: str) -> str:
    return os.environ.get(variable, "").strip()
