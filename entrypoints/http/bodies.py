"""Reading a JSON body: strictly, and with errors that never repeat it."""

import json
from collections.abc import Callable, Coroutine
from email.message import Message
from http import HTTPStatus
from typing import Any, Final, NoReturn

from fastapi import Request, Response
from fastapi.routing import APIRoute

from entrypoints.http.problems import RequestProblem

LIMIT_BYTES: Final = 256 * 1024

_JSON: Final = "application/json"
_MERGE_PATCH: Final = "application/merge-patch+json"  # RFC 7396

# What each method takes, and the header that says so: RFC 5789 section 3.1, LDP 1.0 section 7.1, RFC 9110 section 12.5.
ACCEPTED: Final = {
    "POST": ("Accept-Post", (_JSON,)),
    "PATCH": ("Accept-Patch", (_MERGE_PATCH, _JSON)),
    "PUT": ("Accept", (_JSON,)),
}

_TOO_LARGE: Final = RequestProblem(
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body_too_large", f"The body is larger than {LIMIT_BYTES // 1024} KiB."
)


class JsonRoute(APIRoute):
    """A route whose body, if it declares one, is read by `_JsonRequest`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_strictly(request: Request) -> Response:
            return await handle(_JsonRequest(request.scope, request.receive))

        return handle_strictly


class _JsonRequest(Request):
    _content: bytes | None = None

    async def body(self) -> bytes:
        if self._content is None:
            if "content-type" in self.headers:
                self._check_media_type()
            content = await self._read()
            self._check_media_type()  # a body of no type is refused too, but an empty one for being empty
            self._content = content
        return self._content

    async def json(self) -> Any:
        try:
            return json.loads((await self.body()).decode(), parse_constant=_refuse_constant, object_pairs_hook=_once)
        except (ValueError, RecursionError):
            # ValueError: malformed, not UTF-8, or a number of thousands of digits. The parser's message quotes it.
            detail = "The body is not a JSON text in UTF-8 (RFC 8259), or names a field twice."
            raise RequestProblem(HTTPStatus.BAD_REQUEST, "invalid_json", detail) from None

    def _check_media_type(self) -> None:
        header, media_types = ACCEPTED[self.method]
        given = Message()
        given["Content-Type"] = self.headers.get("content-type", "none/none")
        if given.get_content_type() not in media_types:
            detail = f"The body must be of the type {' or '.join(media_types)}."
            status, accepted = HTTPStatus.UNSUPPORTED_MEDIA_TYPE, {header: ", ".join(media_types)}
            raise RequestProblem(status, "unsupported_media_type", detail, accepted)

    async def _read(self) -> bytes:
        announced = self.headers.get("content-length", "0")
        # Not `int`, which refuses thousands of digits.
        if announced.isdecimal() and float(announced) > LIMIT_BYTES:
            raise _TOO_LARGE
        content = bytearray()
        async for chunk in self.stream():
            content += chunk
            if len(content) > LIMIT_BYTES:
                raise _TOO_LARGE
        if not content.strip(b" \t\r\n"):
            raise RequestProblem(HTTPStatus.BAD_REQUEST, "empty_body", "The body is empty; a JSON object is expected.")
        return bytes(content)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a name comes twice, and which of the two is meant cannot be known")
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
