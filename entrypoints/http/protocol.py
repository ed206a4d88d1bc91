from http import HTTPStatus
from typing import Final

from uuid_utils import uuid4
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from entrypoints.http.middleware.security_headers import SECURITY_HEADERS
from entrypoints.http.problems import problem_response

_MOST_HEAD_BYTES: Final = 64 * 1024


class ProblemProtocol(HttpToolsProtocol):
    """Uvicorn's protocol, which refuses what is not even HTTP with a problem like every other.

    It also bounds the target and the headers of a request. The parser would collect them for as long as they come,
    copying all that it has with every piece that is added.
    """

    _head: list[tuple[bytes, bytes]] | None = None
    _head_bytes = 0

    def data_received(self, data: bytes) -> None:
        head = self._head
        super().data_received(data)
        # The piece in which a head begins goes uncounted, since it may hold the end of another request. It has at most
        # what the event loop reads at once, some 256 KiB; so that, and not the limit alone, bounds what is collected.
        if head is None or self._head is not head or self.transport.is_closing():
            return
        self._head_bytes += len(data)
        if self._head_bytes > _MOST_HEAD_BYTES:
            status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            self._refuse(status, "head_too_large", "Target and headers are too large.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head, self._head_bytes = self.headers, 0

    def on_headers_complete(self) -> None:
        self._head = None
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        self._refuse(HTTPStatus.BAD_REQUEST, "malformed_request", "This is not an HTTP request.")

    def _refuse(self, status: HTTPStatus, code: str, detail: str) -> None:
        request_id = str(uuid4())
        scope = {"path": "/", "state": {"request_id": request_id}}  # nothing that was sent can be trusted
        refusal = problem_response(scope, status, code, detail)
        headers = [
            *refusal.raw_headers,
            *SECURITY_HEADERS,
            (b"x-request-id", request_id.encode()),
            (b"connection", b"close"),
        ]
        head = b"".join(b"%s: %s\r\n" % header for header in headers)
        status_line = f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode()
        self.transport.write(status_line + head + b"\r\n" + bytes(refusal.body))
        self.transport.close()
