"""Log lines for people or as JSON, on standard error."""

import asyncio
import atexit
import json
import logging
import select
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final, Protocol, TextIO, TypeAlias
from weakref import WeakSet

import orjson

_IDS: Final = ("request_id", "trace_id", "span_id")

ACCESS: Final = "userport.access"
"""The logger of requests, if the access log is on."""

_MAX_SHARED_WRITE_BYTES: Final = getattr(select, "PIPE_BUF", 512)  # not on Windows
"""The maximum size of an atomic write to a pipe, so that processes that share one do not mix their lines."""

_MAX_WRITE_BYTES: Final = 2**20
"""The maximum size of a write where no other process writes."""

_REQUEST: Final = "%(method)s %(route)s %(status)s %(duration_ms)s ms %(request_id)s %(peer)s"

_UNMATCHED: Final = "unmatched"

_FRACTIONS: Final = tuple(f".{number:03d}" for number in range(1000))
"""Texts of thousandths."""

EndedRequest: TypeAlias = tuple[str, str | None, int, float, float, str, str | None, Mapping[str, str] | None]
"""The method, the template of the route if there is one, the status, the times of `perf_counter` at which the request
began and ended, its id, the peer, and the ids of its span."""

SPANS: Final = "opentelemetry.sdk"
"""The module that records spans."""

FIELDS: Final = "userport_fields"
"""Attribute of a log record; a mapping that JSON lines include."""


class _Waiting(Protocol):
    def flush(self) -> None: ...


written_before_records: Final[WeakSet[_Waiting]] = WeakSet()
"""What has lines that an event loop will write. They are written before a JSON record from its thread, and at exit."""


@atexit.register
def _write_waiting() -> None:
    for waiting in tuple(written_before_records):
        waiting.flush()


request_id: ContextVar[str | None] = ContextVar("request_id", default=None)


class LogFormat(StrEnum):
    TEXT = "text"
    JSON = "json"


class TextFormatter(logging.Formatter):
    """Formats a record as its message, then the ids of the request and span that the message does not contain."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the library's name
        line = super().formatMessage(record)
        ids = " ".join(f"{name}={value}" for name, value in _ids(record).items() if value not in line)
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
        line |= _ids(record)
        line |= getattr(record, FIELDS, {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


class _JsonHandler(logging.StreamHandler[TextIO]):
    """Writes records as JSON, and requests without creating a `LogRecord`, which is slow."""

    def __init__(self, max_write_bytes: int) -> None:
        super().__init__()
        self.setFormatter(JsonFormatter())
        self._max_write_bytes = max_write_bytes

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(RuntimeError):  # a thread without an event loop
            asyncio.get_running_loop()
            _write_waiting()
        super().emit(record)

    def write_requests(self, requests: Iterable[EndedRequest]) -> None:
        """Write a line for each request, and many lines with one system call."""
        since = _start_of_perf_counter()
        lines: list[str] = []
        last_millisecond, start = 0, ""
        for method, route, status, begun, ended, request_id, peer, ids in requests:
            millisecond = int(1000 * (since + ended))
            if millisecond != last_millisecond:
                last_millisecond, start = millisecond, _line_start(millisecond)
            microseconds = round(1_000_000 * (ended - begun))
            if '"' in request_id or "\\" in request_id:
                request_id = _escape(request_id)
            span = "".join([f'","{name}":"{value}' for name, value in ids.items()]) if ids else ""
            message, fields, end = _constant_parts(method, route, status, peer)
            lines.append(
                f"{start}{message}{request_id}{span}{fields}"
                f"{microseconds // 1000}{_FRACTIONS[microseconds % 1000]}{end}"  # faster than formatting a float
            )
        with self.lock or nullcontext(), suppress(OSError):  # the reader has gone, as `Handler` handles it
            for text in _joined(lines, self._max_write_bytes):
                self.stream.write(text)
                self.flush()


_json_handler: _JsonHandler | None = None


def log_requests(requests: Iterable[EndedRequest]) -> None:
    """Log requests that have ended.

    The lines contain no path, query, header or body: they may identify or authenticate users.
    """
    if _json_handler is not None:
        _json_handler.write_requests(requests)
        return
    log, since = logging.getLogger(ACCESS), _start_of_perf_counter()
    for method, route, status, begun, ended, request_id, peer, ids in requests:
        fields = {
            "method": method,
            "route": route or _UNMATCHED,
            "status": status,
            "duration_ms": round(1000 * (ended - begun), 3),
            "request_id": request_id,
            "peer": peer,
            **(ids or {}),
        }
        # `Logger.info` inspects the stack for its caller, which is slower than everything else here.
        record = log.makeRecord(ACCESS, logging.INFO, "", 0, _REQUEST, (fields,), None, extra={FIELDS: fields})
        record.created = since + ended
        log.handle(record)


def configure_logs(log_format: LogFormat, *, access_log: bool, one_process: bool = False) -> None:
    """Send the log lines of this process to standard error; with JSON, those of libraries too.

    `one_process` says that no other process writes there.
    """
    global _json_handler
    _json_handler = None
    log = logging.getLogger("userport")
    if log_format is LogFormat.JSON:
        _json_handler = _JsonHandler(_MAX_WRITE_BYTES if one_process else _MAX_SHARED_WRITE_BYTES)
        logging.getLogger().handlers = [_json_handler]
        log.handlers.clear()
    elif not log.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(TextFormatter())
        log.addHandler(handler)
    if access_log:
        logging.getLogger(ACCESS).setLevel(logging.INFO)


def announce(line: str, log_format: LogFormat, level: int = logging.INFO) -> None:
    """Print a line about the start of the process; in JSON, with its level."""
    if log_format is LogFormat.TEXT:
        sys.stderr.write(f"{line}\n")  # `print` may write the end of the line apart, after another process's line
        sys.stderr.flush()
    else:
        log = logging.getLogger("userport.start")
        log.setLevel(logging.INFO)
        log.log(level, "%s", line)


def _ids(record: logging.LogRecord) -> Mapping[str, str]:
    """Return the ids of the request and span of a record, where they exist."""
    if record.name == ACCESS:  # the request has ended
        return {name: value for name, value in getattr(record, FIELDS, {}).items() if name in _IDS}
    current = request_id.get()
    return span_ids() if current is None else {"request_id": current, **span_ids()}


def span_ids() -> Mapping[str, str]:
    """Return the ids of the current span, if any (W3C Trace Context)."""
    telemetry = sys.modules.get("opentelemetry.trace")
    if telemetry is None or SPANS not in sys.modules:  # nothing records spans
        return {}
    if (current_span := telemetry.get_current_span()) is telemetry.INVALID_SPAN:
        return {}
    span = current_span.get_span_context()
    return {"trace_id": f"{span.trace_id:032x}", "span_id": f"{span.span_id:016x}"} if span.is_valid else {}


def _start_of_perf_counter() -> float:
    """Return the Unix time at which `perf_counter` was 0."""
    return time.time() - time.perf_counter()


def _escape(text: str) -> str:
    """Return a text escaped for a JSON string, in ASCII and without the quotes."""
    return json.dumps(text)[1:-1]


def _joined(lines: Sequence[str], max_bytes: int) -> Iterator[str]:
    """Join lines of ASCII to texts, each of which has at most `max_bytes` or is one line."""
    if sum(map(len, lines)) <= max_bytes:
        yield "".join(lines)
        return
    some: list[str] = []
    size = 0
    for line in lines:
        size += len(line)
        if size > max_bytes and some:
            yield "".join(some)
            some, size = [], len(line)
        some.append(line)
    yield "".join(some)


def _line_start(millisecond: int) -> str:
    """Return the start of a JSON line of a time in milliseconds."""
    second, fraction = divmod(millisecond, 1000)
    return f'{{"time":"{_second_text(second)}{_FRACTIONS[fraction]}'


@lru_cache(1)
def _second_text(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat()[:19]


@lru_cache(1_024)
def _constant_parts(method: str, route: str | None, status: int, peer: str | None) -> tuple[str, str, str]:
    """Return the parts of a JSON line around its time, request id, span and duration, which differ in each line."""
    method, route = _escape(method), _escape(route or _UNMATCHED)
    peer_json = f'"{_escape(peer)}"' if peer else "null"
    return (
        f'+00:00","level":"info","logger":"{ACCESS}","message":"{method} {route} {status}","request_id":"',
        f'","method":"{method}","route":"{route}","status":{status},"duration_ms":',
        f',"peer":{peer_json}}}\n',
    )
