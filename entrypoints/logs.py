"""Log lines for people or as JSON, on standard error."""

import logging
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, TextIO

import orjson

ACCESS: Final = "userport.access"
"""The logger of requests, if the access log is on."""

_REQUEST: Final = "%(method)s %(route)s %(status)s %(duration_ms)s ms %(request_id)s %(peer)s"

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


class _JsonAccessLog:
    """Writes the access log as `JsonFormatter` would, but without a `LogRecord`, which takes longer."""

    def __init__(self, handler: "logging.StreamHandler[TextIO]") -> None:
        self._handler = handler
        self._second = 0
        self._second_text = ""

    def write(self, fields: Mapping[str, Any]) -> None:
        now = time.time()
        second = int(now)
        if second != self._second:
            self._second, self._second_text = second, datetime.fromtimestamp(second, UTC).isoformat()[:19]
        line = {
            "time": f"{self._second_text}.{int(1000 * (now - second)):03d}+00:00",
            "level": "info",
            "logger": ACCESS,
            "message": _REQUEST % fields,
        }
        line |= _ids()
        line |= fields
        with suppress(OSError):  # as a `Handler` does, whose reader is gone
            self._handler.stream.write(f"{orjson.dumps(line).decode()}\n")
            self._handler.flush()


_json_access_log: _JsonAccessLog | None = None


def log_request(fields: Mapping[str, Any]) -> None:
    """Write a line of the access log."""
    if _json_access_log is not None:
        _json_access_log.write(fields)
        return
    # `Logger.info` inspects the stack for its caller, which is slower than everything else here.
    log = logging.getLogger(ACCESS)
    log.handle(log.makeRecord(ACCESS, logging.INFO, "", 0, _REQUEST, (fields,), None, extra={FIELDS: fields}))


def configure_logs(log_format: LogFormat, *, access_log: bool) -> None:
    """Send the log lines of this process to standard error; with JSON, those of libraries too."""
    global _json_access_log
    _json_access_log = None
    log = logging.getLogger("userport")
    if log_format is LogFormat.JSON:
        handler = logging.StreamHandler()
        handler.setFormatter(JsonFormatter())
        logging.getLogger().handlers = [handler]
        log.handlers.clear()
        _json_access_log = _JsonAccessLog(handler)
    elif not log.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(TextFormatter())
        log.addHandler(handler)
    if access_log:
        logging.getLogger(ACCESS).setLevel(logging.INFO)


def announce(line: str, log_format: LogFormat, level: int = logging.INFO) -> None:
    """Print a line about the start of the process, which has a level in JSON."""
    if log_format is LogFormat.TEXT:
        print(line, file=sys.stderr, flush=True)  # noqa: T201
    else:
        log = logging.getLogger("userport.start")
        log.setLevel(logging.INFO)
        log.log(level, "%s", line)


def _ids() -> dict[str, str]:
    """Return the ids of the current request, and of the current span (W3C Trace Context), where they exist."""
    current = request_id.get()
    ids = {} if current is None else {"request_id": current}
    telemetry = sys.modules.get("opentelemetry.trace")  # without it there is no span
    if telemetry is not None and (span := telemetry.get_current_span().get_span_context()).is_valid:
        ids |= {"trace_id": f"{span.trace_id:032x}", "span_id": f"{span.span_id:016x}"}
    return ids
