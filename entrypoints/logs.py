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


class TextFormatter(logging.Formatter):
    """Formats a record as its message, then the ids of the request and span that the message does not contain."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the library's name
        line = super().formatMessage(record)
        ids = " ".join(f"{name}={value}" for name, value in _ids().items() if value not in line)
        return f"{line} ({ids})" if ids else line


class JsonFormatter(logging.Formatter):
    """Formats a record as a JSON object on one line."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= _ids()
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
        handler = logging.StreamHandler()
        handler.setFormatter(TextFormatter())
        log.addHandler(handler)
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


def _ids() -> dict[str, str]:
    """Return the ids of the current request, and of the current span (W3C Trace Context), where they exist."""
    current = request_id.get()
    ids = {} if current is None else {"request_id": current}
    telemetry = sys.modules.get("opentelemetry.trace")  # without it there is no span
    if telemetry is not None and (span := telemetry.get_current_span().get_span_context()).is_valid:
        ids |= {"trace_id": f"{span.trace_id:032x}", "span_id": f"{span.span_id:016x}"}
    return ids
