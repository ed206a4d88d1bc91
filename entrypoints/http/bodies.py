"""Parse JSON bodies strictly, with errors that never echo them."""

import json
from collections.abc import Sequence
from email.message import Message
from http import HTTPStatus
from typing import Any, Final, NoReturn

from fastapi import Request
from starlette.exceptions import HTTPException

from entrypoints.http.problems import ProblemKind, RequestProblem

MAX_BODY_BYTES: Final = 256 * 1024

_JSON: Final = "application/json"
_MERGE_PATCH: Final = "application/merge-patch+json"  # RFC 7396

# The accepted media types per method, and the header of a 415 that lists them: RFC 5789 section 3.1, LDP 1.0 section
# 7.1, RFC 9110 section 12.5.
ACCEPTED: Final = {
    "POST": ("Accept-Post", (_JSON,)),
    "PATCH": ("Accept-Patch", (_MERGE_PATCH, _JSON)),
    "PUT": ("Accept", (_JSON,)),
}

BODY_TOO_LARGE: Final = ProblemKind(
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body_too_large", f"The body is larger than {MAX_BODY_BYTES // 1024} KiB."
)
EMPTY_BODY: Final = ProblemKind(HTTPStatus.BAD_REQUEST, "empty_body", "The body is empty; a JSON object is expected.")
INVALID_JSON: Final = ProblemKind(
    HTTPStatus.BAD_REQUEST, "invalid_json", "The body is not a JSON text in UTF-8 (RFC 8259), or repeats a member."
)
UNSUPPORTED_MEDIA_TYPE: Final = ProblemKind(
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", "The body must be of another media type."
)


def check_media_type(request: Request, header: str, media_types: Sequence[str]) -> None:
    """Raise a 415, whose `header` lists the accepted types, unless the body has one of them."""
    given = request.headers.get("content-type", "none/none")
    if given not in media_types and _without_parameters(given) not in media_types:
        detail = f"The body must be of the type {' or '.join(media_types)}."
        raise RequestProblem(*UNSUPPORTED_MEDIA_TYPE._replace(detail=detail), {header: ", ".join(media_types)})


def _without_parameters(content_type: str) -> str:
    header = Message()
    header["Content-Type"] = content_type
    return header.get_content_type()


async def read_body(request: Request) -> bytes:
    """Return the raw body. Raise a 413 if it is too large."""
    announced = request.headers.get("content-length", "0")
    # `int` rejects thousands of digits.
    if announced.isdecimal() and float(announced) > MAX_BODY_BYTES:
        raise RequestProblem(*BODY_TOO_LARGE)
    content = bytearray()
    more = True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":  # no response can reach the client
            raise HTTPException(HTTPStatus.BAD_REQUEST)
        content += message.get("body", b"")
        if len(content) > MAX_BODY_BYTES:
            raise RequestProblem(*BODY_TOO_LARGE)
        more = message.get("more_body", False)
    return bytes(content)


async def read_json(request: Request) -> Any:
    """Return the parsed JSON body. Raise a 400, 413 or 415."""
    return _parse_json(await _read_json_text(request))


class JsonRequest(Request):
    """A request whose JSON body FastAPI reads as strictly as `read_json`."""

    _text: bytes | None = None

    async def body(self) -> bytes:
        if self._text is None:
            self._text = await _read_json_text(self)
        return self._text

    async def json(self) -> Any:
        return _parse_json(await self.body())


async def _read_json_text(request: Request) -> bytes:
    header, media_types = ACCEPTED[request.method]
    has_type = "content-type" in request.headers
    if has_type:
        check_media_type(request, header, media_types)
    content = await read_body(request)
    if not content.strip(b" \t\r\n"):
        raise RequestProblem(*EMPTY_BODY)
    if not has_type:
        check_media_type(request, header, media_types)  # rejects it too, but an empty body is reported as empty
    return content


def _parse_json(text: bytes) -> Any:
    try:
        return _STRICT.decode(text.decode())
    except (ValueError, RecursionError):
        # ValueError: malformed, not UTF-8, or a number of thousands of digits. The parser's message quotes it.
        raise RequestProblem(*INVALID_JSON) from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a name comes twice, and which of the two is meant cannot be known")
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_STRICT: Final = json.JSONDecoder(parse_constant=_refuse_constant, object_pairs_hook=_once)
