"""Log lines for people or as JSON, on standard error."""

import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

import orjson

ACCESS: Final = "userport.access"
"""The logger of requests, if the access log is on."""

FIELDS: Final = "userport_fields"
"""Attribute of a log record; a mapping that JSON lines include."""

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)


class LogFormat(StrEnum):
    TEXT = "text"
    JSON = "json"


class JsonFormatter(logging.Formatter):
    """Formats a record as a JSON object on one line."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if (current := request_id.get()) is not None:
            line["request_id"] = current
        line |= _trace()
        line |= getattr(record, FIELDS, {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


def configure_logs(log_format: LogFormat, *, access_log: bool) -> None:
    """Send the log lines of this process to standard error; with JSON, those of libraries too."""
    log = logging.getLogger("userport")
    if log_format is LogFormat.JSON:
        handler = logging.StreamHandler()
        handler.setFormatter(JsonFormatter())
        logging.getLogger().handlers = [handler]
        log.handlers.clear()
    elif not log.handlers:
        log.addHandler(logging.StreamHandler())
    if access_log:
        logging.getLogger(ACCESS).setLevel(logging.INFO)


def announce(line: str, log_format: LogFormat) -> None:
    """Print a line about the start of the process."""
    if log_format is LogFormat.TEXT:
        print(line, file=sys.stderr, flush=True)  # noqa: T201
    else:
        log = logging.getLogger("userport.start")
        log.setLevel(logging.INFO)
        log.info("%s", line)


def _trace() -> dict[str, str]:
    """Return the ids of the current span (W3C Trace Context), if OpenTelemetry is in use."""
    telemetry = sys.modules.get("opentelemetry.trace")
    if telemetry is None:
        return {}
    span = telemetry.get_current_span().get_span_context()
    return {"trace_id": f"{span.trace_id:032x}", "span_id": f"{span.span_id:016x}"} if span.is_valid else {}
