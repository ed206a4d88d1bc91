"""Uvicorn's HTTP/1.1 protocol, with limits on the memory and time that a client can occupy."""

import asyncio
import sys
from asyncio import TimerHandle
from dataclasses import dataclass
from typing import Any, Final

import httptools
from starlette.types import ASGIApp
from uuid_utils import uuid4
from uvicorn import Config
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from entrypoints.http.middleware.security_headers import SECURITY_HEADERS
from entrypoints.http.problems import (
    BODY_TIMEOUT,
    HEAD_TIMEOUT,
    HEAD_TOO_LARGE,
    MALFORMED_REQUEST,
    TOO_MANY_CONNECTIONS,
    ProblemKind,
    problem_response,
)

if sys.platform == "linux":
    import fcntl
    import termios

_MAX_HEAD_BYTES: Final = 64 * 1024
_MAX_HEADERS: Final = 100
# Framing bytes of a chunked body (sizes, extensions, trailers): the limit in a row, and per byte of data.
_MAX_BYTES_WITHOUT_DATA: Final = 16 * 1024
_MAX_BYTES_PER_DATA_BYTE: Final = 16
# A rejected client may still be sending. Closing the socket now would reset it, and could destroy the response.
_LINGER_SECONDS: Final = 2.0
_MAX_LINGERING: Final = 64
_STALL_SECONDS_WHILE_STOPPING: Final = 1.0
_IDLE_SECONDS_WHILE_STOPPING: Final = 0.1  # while uvicorn waits anyway
_STATUS_LINE: Final = b"HTTP/1.1 "
_LINE_END: Final = b"\r\n"
_EMPTY_LINE: Final = b"\n\r\n"


@dataclass(frozen=True)
class ConnectionLimits:
    """The number of connections per process, and the timeouts for clients, in seconds."""

    max_connections: int
    head_timeout: float
    body_timeout: float
    write_timeout: float
    keep_alive_timeout: float


class WaitingConnections:
    """The connections of a process that wait for their clients, longest waiting first."""

    def __init__(self) -> None:
        self.idle: dict[ProblemProtocol, None] = {}  # until the end of a request head
        self.stalled: dict[ProblemProtocol, float] = {}  # until the end of a body or response; value: since when
        self.lingering: set[ProblemProtocol] = set()  # rejected, until the client has read the response

    def remove(self, connection: "ProblemProtocol") -> None:
        self.idle.pop(connection, None)
        self.stalled.pop(connection, None)
        self.lingering.discard(connection)


class ServerConfig(Config):
    """Uvicorn's configuration with connection limits. Each worker process has a copy."""

    def __init__(self, app: ASGIApp | str, limits: ConnectionLimits, drain_seconds: float = 0, **options: Any) -> None:
        super().__init__(app, http=ProblemProtocol, ws="none", **options)
        self.limits = limits
        self.drain_seconds = drain_seconds
        self.waiting = WaitingConnections()


class _Gate(FlowControl):
    """Flow control that does not resume reading while `closed`."""

    closed = False

    def resume_reading(self) -> None:
        if not self.closed:
            super().resume_reading()


class _ResponseTransport(asyncio.Transport):
    """Sends the head of a response together with the first part of its body.

    Uvicorn writes one after the other, which would cost a second system call and a second packet. If no body follows in
    the same turn of the event loop, the head is sent alone.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._head = b""

    def write(self, data: bytes) -> None:  # type: ignore[override] # uvicorn writes nothing else
        if self._head:
            self._transport.write(self._head + data)
            self._head = b""
        elif data.startswith(_STATUS_LINE):
            self._head = data
            self._loop.call_soon(self.flush)
        else:
            self._transport.write(data)

    def flush(self) -> None:
        if self._head:
            self._transport.write(self._head)
            self._head = b""

    def close(self) -> None:
        self.flush()
        self._transport.close()

    def is_closing(self) -> bool:
        return self._transport.is_closing()


class ProblemProtocol(HttpToolsProtocol):
    """Uvicorn's protocol with limits. Every request that it rejects gets a problem document.

    It parses one request at a time. Further bytes stay unparsed, and reading pauses, until the response is complete.
    Uvicorn's own `pipeline` stays empty.
    """

    def __init__(
        self,
        config: ServerConfig,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._limits = config.limits
        self._waiting = config.waiting
        self._unparsed = b""
        self._position = 0
        # The state of the parser. Between the end of a message and the end of its response, both are false.
        self._in_head = True
        self._in_body = False
        self._head_begun = False
        self._head_bytes = 0
        self._body_length: int | None = None
        self._chunked = False
        self._body_bytes = 0
        self._chunked_bytes = 0
        self._bytes_without_data = 0
        self._unsent_bytes = 0
        self._refused = False
        self._stopping = False
        self._deadline: float | None = None
        self._timer: TimerHandle | None = None
        self._timer_due = 0.0

    # Connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.flow = self._gate = _Gate(transport)
        self._responses = _ResponseTransport(transport, self.loop)
        excess = len(self.connections) - len(self._waiting.lingering) - self._limits.max_connections
        if excess > 0 and not self._make_room():
            if len(self._waiting.lingering) < _MAX_LINGERING:
                self._refuse(TOO_MANY_CONNECTIONS)
            else:
                transport.abort()
            return
        self._waiting.idle[self] = None
        self._expire_in(self._limits.head_timeout)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._waiting.remove(self)
        self._unparsed = b""
        self._deadline = None
        if self._timer is not None:
            self._timer.cancel()

    def shutdown(self) -> None:
        """Close the connection after its response, or if the request that is on its way does not arrive soon."""
        self._stopping = True
        if self._refused or (not self._in_head and self.cycle.response_complete):
            self._close()
            return
        if not self._in_head:
            self.cycle.keep_alive = False
        is_idle = self._in_head and not self._head_begun
        self._expire_in(_IDLE_SECONDS_WHILE_STOPPING if is_idle else _STALL_SECONDS_WHILE_STOPPING)
        # Before uvicorn cancels running requests and logs that.
        grace = (self.config.timeout_graceful_shutdown or 0) - _STALL_SECONDS_WHILE_STOPPING
        self.loop.call_later(max(0.0, grace), self.transport.abort)

    def _make_room(self) -> bool:
        """Drop the connection that has been idle longest, or a stalled one; return whether there was one."""
        dropped = next(iter(self._waiting.idle), None)
        if dropped is None:
            dropped, since = next(iter(self._waiting.stalled.items()), (None, 0.0))
            if dropped is None or self.loop.time() - since < self._limits.head_timeout:
                return False
        self._waiting.remove(dropped)
        dropped.transport.abort()
        return True

    def _close(self) -> None:
        """Close once all output has been sent, or when sending makes no progress."""
        self._responses.flush()
        self._await_sent()
        self.transport.close()

    # Input

    def data_received(self, data: bytes) -> None:
        if self._unparsed:
            self._parse(self._unparsed[self._position :] + data, 0)
            return
        ends_once = data.find(_EMPTY_LINE) == len(data) - len(_EMPTY_LINE)
        is_head = self._in_head and ends_once and data[0] not in _LINE_END
        if is_head:  # the common case, on the shortest path
            self._feed(data)
            if self._in_head or self._in_body:
                self._parse(data, len(data))
        else:
            self._parse(data, 0)

    def _parse(self, data: bytes, position: int) -> None:
        """Parse to the end of one message. Reading pauses while unparsed bytes remain."""
        size = len(data)
        while position < size and (self._in_head or self._in_body):
            end = self._end_of_piece(data, position)
            self._feed(data[position:end])
            position = end
        if self._refused:
            self.flow.pause_reading()  # the client has a response to read first
            return
        if position < size:
            self._unparsed, self._position = data, position
            self._gate.closed = True
            self.flow.pause_reading()
            return
        if self._unparsed:
            self._unparsed = b""
            self._gate.closed = False
            self.flow.resume_reading()
        if self._in_body:
            self._waiting.stalled.setdefault(self, self.loop.time())
            if not self.flow.write_paused:
                self._expire_in(self._limits.body_timeout)
        elif self._head_begun and self._in_head:
            self._expire_in(self._limits.head_timeout, at_most=True)

    def _end_of_piece(self, data: bytes, start: int) -> int:
        """Return where to stop parsing, so that no piece contains the end of a message and the head of the next.

        Heads and chunked bodies end with an empty line, which may have begun in an earlier piece. Other empty lines, as
        in the data of a chunk, cause more pieces but no harm.
        """
        if self._in_body and self._body_length is not None:
            return min(start + self._body_length - self._body_bytes, len(data))
        if data[start] in _LINE_END:
            return start + (2 if data.startswith(_LINE_END, start) else 1)
        found = data.find(_EMPTY_LINE, start)
        return len(data) if found < 0 else found + len(_EMPTY_LINE)

    def _feed(self, piece: bytes) -> None:
        if self._in_head:
            self._head_bytes += len(piece)
            if self._head_bytes > _MAX_HEAD_BYTES:
                self._refuse_head()
                return
        in_body, body_bytes = self._in_body, self._body_bytes
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade:
            self._ignore_upgrade()
        except httptools.HttpParserError:
            if self._in_head and self._has_many_headers():
                self._refuse_head()
            else:
                self._refuse_malformed()
        else:
            if self._in_head:
                if self._has_many_headers():
                    self._refuse_head()
            elif in_body and self._chunked:
                self._count_chunked(len(piece), self._body_bytes - body_bytes)

    def _count_chunked(self, size: int, data: int) -> None:
        self._chunked_bytes += size
        self._bytes_without_data = 0 if data else self._bytes_without_data + size
        allowed = _MAX_BYTES_WITHOUT_DATA + _MAX_BYTES_PER_DATA_BYTE * self._body_bytes
        if self._bytes_without_data > _MAX_BYTES_WITHOUT_DATA or self._chunked_bytes > allowed:
            self._refuse_malformed()

    def _has_many_headers(self) -> bool:
        return self._head_begun and len(self.headers) > _MAX_HEADERS

    def _ignore_upgrade(self) -> None:
        """Parse the head again without its `Upgrade`, as RFC 9110, section 7.8, allows.

        With it, the parser would take the body for another protocol, and then for the next request.
        """
        method, version = self.parser.get_method(), self.parser.get_http_version()
        if method == b"CONNECT":
            self._refuse_malformed()
            return
        headers = [b"%s: %s\r\n" % header for header in self.headers if header[0] != b"upgrade"]
        head = b"".join([b"%s %s HTTP/%s\r\n" % (method, self.url, version.encode()), *headers, b"\r\n"])
        self.parser = httptools.HttpRequestParser(self)
        self._head_bytes = 0
        self._feed(head)

    # Callbacks of the parser. An exception results in a 400.

    def on_message_begin(self) -> None:
        if not self._in_head:
            raise ValueError("a message within a message")
        super().on_message_begin()
        self._head_begun = True
        self._body_length = None
        self._chunked = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:  # a trailer
            return
        name = name.lower()
        self.headers.append((name, value))
        if name == b"content-length":
            self._body_length, self._body_bytes = int(value), 0
        elif name == b"transfer-encoding":
            if self._chunked or value.lower() != b"chunked":
                raise ValueError("a transfer coding that cannot be decoded")
            self._chunked = True
            self._body_bytes = self._chunked_bytes = self._bytes_without_data = 0
        elif name == b"expect":
            self.expect_100_continue = value.lower() == b"100-continue"

    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade():  # the head will be parsed again
            return
        if len(self.headers) > _MAX_HEADERS:
            raise ValueError("too many headers")
        super().on_headers_complete()
        self.cycle.transport = self._responses
        self._in_head, self._in_body = False, True
        self._waiting.idle.pop(self, None)

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self._in_head:  # of an upgrade
            return
        self._in_body = False
        if self._chunked:  # a trailer `Connection: close` would make the parser ignore all further requests
            self.parser = httptools.HttpRequestParser(self)
        if not self.flow.write_paused:
            self._waiting.stalled.pop(self, None)
            self._deadline = None
        if self.cycle.response_complete:
            self._await_head()
        else:
            self.cycle.more_body = False
            self.cycle.message_event.set()

    # Output

    def on_response_complete(self) -> None:
        self._responses.flush()
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            self._await_sent()
            return
        if self.flow.read_paused:
            self.flow.resume_reading()
        if self._in_body:  # drop the rest of it
            return
        self._await_head()
        if self._unparsed:
            self._parse(self._unparsed, self._position)

    def _await_head(self) -> None:
        self._in_head, self._head_begun, self._head_bytes = True, False, 0
        self._waiting.idle[self] = None
        if self.flow.write_paused:
            self._await_sent()
        else:  # the event loop sends the little that is left, and `_on_deadline` checks that it did
            self._unsent_bytes = 0
            self._expire_in(self._limits.keep_alive_timeout)

    def _await_sent(self) -> None:
        if self.transport.get_write_buffer_size():
            self._unsent_bytes = self._count_unsent()
            self._expire_in(self._limits.write_timeout)
        else:
            self._unsent_bytes = 0
            self._expire_in(self._limits.keep_alive_timeout)

    def _count_unsent(self) -> int:
        """Count the bytes that the client has not received, if some still wait for room in the socket's buffer.

        Bytes in that buffer count too where the system reports them: it accepts no more before a third of it is free.
        """
        unsent = self.transport.get_write_buffer_size()
        if unsent and sys.platform == "linux":
            queued = fcntl.ioctl(self.transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, bytes(4))
            unsent += int.from_bytes(queued, sys.byteorder)
        return unsent

    def pause_writing(self) -> None:
        super().pause_writing()
        self._waiting.stalled.setdefault(self, self.loop.time())
        self._await_sent()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._in_body:
            self._expire_in(self._limits.body_timeout)
            return
        self._waiting.stalled.pop(self, None)
        if self._in_head:
            self._await_sent()
        else:
            self._deadline = None

    # Timeouts

    def _expire_in(self, seconds: float, *, at_most: bool = False) -> None:
        """Set the deadline. A timer that ends earlier is kept: it checks the deadline when it ends."""
        if self._stopping:
            seconds = min(seconds, _STALL_SECONDS_WHILE_STOPPING)
        deadline = self.loop.time() + seconds
        if at_most and self._deadline is not None:
            deadline = min(deadline, self._deadline)
        self._deadline = deadline
        if self._timer is None or self._timer_due > deadline:
            if self._timer is not None:
                self._timer.cancel()
            self._set_timer(deadline)

    def _set_timer(self, due: float) -> None:
        self._timer = self.loop.call_at(due, self._on_timer)
        self._timer_due = due

    def _on_timer(self) -> None:
        self._timer = None
        if self._deadline is None:
            return
        if self._deadline > self.loop.time():
            self._set_timer(self._deadline)
            return
        self._deadline = None
        self._on_deadline()

    def _on_deadline(self) -> None:
        unsent_bytes = self._count_unsent()
        if self._refused or 0 < self._unsent_bytes <= unsent_bytes:
            self.transport.abort()
        elif unsent_bytes:  # fewer than before, or counted for the first time
            self._await_sent()
        elif self._in_body:
            if self.flow.read_paused or self.cycle.waiting_for_100_continue:  # the client waits for the server
                self._expire_in(self._limits.body_timeout)
            else:
                self._refuse(BODY_TIMEOUT)
        elif self._in_head and self._head_begun:
            self._refuse(HEAD_TIMEOUT)
        elif self._in_head and self._unsent_bytes:  # they were sent since
            self._await_sent()
        elif self._in_head:
            self.transport.close()

    # Rejections

    def _refuse_head(self) -> None:
        self._refuse(HEAD_TOO_LARGE)

    def _refuse_malformed(self) -> None:
        self._refuse(MALFORMED_REQUEST)

    def _refuse(self, kind: ProblemKind) -> None:
        """Respond, unless a response has begun, then close the connection."""
        in_request = not self._in_head
        self._in_head = self._in_body = False  # parse nothing more
        if in_request:
            self._disconnect_app()
            if self.cycle.response_started:
                self._close()
                return
        self._refused = True
        self._waiting.remove(self)
        self._waiting.lingering.add(self)
        self._unparsed = b""
        self._gate.closed = False
        self.flow.resume_reading()
        self._responses.flush()
        self.transport.write(self._refusal(kind))
        self.transport.write_eof()
        self._expire_in(_LINGER_SECONDS)

    def _disconnect_app(self) -> None:
        self.cycle.disconnected = True
        self.cycle.waiting_for_100_continue = False
        self.cycle.message_event.set()
        self.flow.resume_writing()

    def _refusal(self, kind: ProblemKind) -> bytes:
        request_id = str(uuid4())
        scope = {"path": "/", "state": {"request_id": request_id}}  # the request cannot be trusted
        response = problem_response(scope, *kind)
        headers = [
            *self.server_state.default_headers,
            *response.raw_headers,
            *SECURITY_HEADERS,
            (b"x-request-id", request_id.encode()),
            (b"connection", b"close"),
        ]
        head = b"".join(b"%s: %s\r\n" % header for header in headers)
        return f"HTTP/1.1 {kind.status.value} {kind.status.phrase}\r\n".encode() + head + b"\r\n" + bytes(response.body)
