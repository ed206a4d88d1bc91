"""Cursors and links for pagination (RFC 8288)."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from hashlib import sha256
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticKnownError

from domain.errors import FieldError, InvalidInput
from entrypoints.http.pages import Page
from entrypoints.http.problems import ProblemKind, RequestProblem
from entrypoints.http.schemas import InputModel

INVALID_CURSOR: Final = ProblemKind(
    HTTPStatus.BAD_REQUEST,
    "invalid_cursor",
    "The cursor is damaged or was made for another list; start again without one.",
)

_FORM: Final = re.compile(r"[A-Za-z0-9_-]{32}")


def _plain(text: object) -> object:
    """Reject other spellings of integers that Python accepts: 1.0, 1_0, digits of other scripts."""
    if isinstance(text, str) and re.fullmatch(r"-?\d{1,9}", text, re.ASCII) is None:
        raise PydanticKnownError("int_parsing")
    return text


def _documented(text: object) -> object:
    """Reject other spellings of booleans that pydantic accepts: yes, on, 1."""
    if isinstance(text, str) and text not in ("true", "false"):
        raise PydanticKnownError("bool_parsing")
    return text


_Plain: Final = BeforeValidator(_plain)


class PageQuery(InputModel):
    limit: Annotated[int, Field(ge=1, le=200), _Plain] = Field(
        default=50, description="The maximum number of items on a page; large items make it shorter."
    )
    order: Literal["asc", "desc"] = Field(default="asc", description="Oldest or newest first.")
    cursor: str | None = Field(
        default=None,
        description="Where the page starts, as the `Link` of the previous page says. Opaque to clients.",
    )
    offset: Annotated[int, Field(ge=0, le=10_000), _Plain] | None = Field(
        default=None, description="How many items to skip. Cannot be combined with `cursor`."
    )
    count: Annotated[bool, BeforeValidator(_documented)] = Field(
        default=False, description="Whether to return the number of all items, in `X-Total-Count`."
    )

    def check_combination(self) -> None:
        if self.cursor is not None and self.offset is not None:
            raise_incompatible("offset", "cursor")

    @property
    def descending(self) -> bool:
        return self.order == "desc"

    def list_name(self, name: str) -> str:
        """Return a name for the list: everything that decides its content and order. A cursor is bound to it."""
        return f"{name} {self.order}"

    @staticmethod
    def total_header(total: int | None) -> Mapping[str, str]:
        return {} if total is None else {"X-Total-Count": str(total)}


def raise_incompatible(field: str, other: str) -> None:
    raise InvalidInput((FieldError(field, "not_together", f"cannot be combined with {other}"),))


def make_cursor(list_name: str, last_id: str) -> str:
    """Return a cursor to the records behind an id: the id, and a digest that binds it to the list.

    The digest is no secret. It detects cursors that are damaged or belong to another list.
    """
    place = UUID(last_id).bytes
    return urlsafe_b64encode(place + _digest(list_name, place)).decode()


def read_cursor(list_name: str, cursor: str) -> str:
    """Return the id in a cursor. Raise a 400 if the cursor was not made for this list."""
    if _FORM.fullmatch(cursor):
        content = urlsafe_b64decode(cursor)
        if _digest(list_name, content[:16]) == content[16:]:
            return str(UUID(bytes=content[:16]))
    raise RequestProblem(*INVALID_CURSOR)


def link_header(query: PageQuery, path: str, list_name: str, page: Page[Any]) -> Mapping[str, str]:
    """Return the `Link` header with the next page, or no header on the last page."""
    if not page.has_more or page.last_id is None:
        return {}
    order = f"&order={query.order}" if query.descending else ""
    count = "&count=true" if query.count else ""
    cursor = make_cursor(list_name, page.last_id)
    return {"Link": f'<{path}?limit={query.limit}{order}{count}&cursor={cursor}>; rel="next"'}


def _digest(list_name: str, place: bytes) -> bytes:
    return sha256(list_name.encode() + place).digest()[:8]
