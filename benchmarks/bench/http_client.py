"""Single requests, which check the apps rather than measure them."""

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection
from typing import Any


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    content: bytes

    def json(self) -> Any:
        return json.loads(self.content)


def request(
    port: int, method: str, path: str, content: object = None, headers: Mapping[str, str] | None = None
) -> Response:
    """Send a request to a local app; an object is sent as JSON, bytes unchanged."""
    given = {"Content-Type": "application/json", **(headers or {})}
    body = content if content is None or isinstance(content, bytes) else json.dumps(content).encode()
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body, given)
        response = connection.getresponse()
        return Response(response.status, response.read())
    finally:
        connection.close()


def wait_until_ready(port: int) -> None:
    """Wait until a local server is ready. Raise `SystemExit` if it is not within 30 seconds."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with suppress(OSError):  # it does not listen yet
            if request(port, "GET", "/health/ready").status == HTTPStatus.OK:
                return
        time.sleep(0.05)
    raise SystemExit("the server does not become ready")
