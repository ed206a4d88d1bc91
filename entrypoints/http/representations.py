"""The representations of records: their JSON and entity tags, and the requests that depend on these.

RFC 9110, sections 8 and 13. Records are encoded directly, without a second validation.
"""

import asyncio
import re
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from hashlib import blake2b
from http import HTTPStatus
from typing import Annotated, Any, Final, Protocol

import orjson
from fastapi import Depends, Header, Request, Response
from starlette.types import Message, Receive, Scope, Send

from application.concurrency import Expected
from domain.post import Post
from domain.session import Session
from domain.user import User
from domain.values import SessionId
from entrypoints.http.pages import Page

CACHE_CONTROL: Final = "private, no-cache"
_CREATED: Final = HTTPStatus.CREATED.value

_ENTITY_TAG: Final = re.compile(r'\s*(W/)?"([\x21\x23-\x7e\x80-\xff]*)"\s*')
_VERSION: Final = re.compile(r"[1-9][0-9]{0,18}")
_ANY: Final = "*"
_WITH_MICROSECONDS: Final = len("2026-11-20T20:36:00.123000+00:00")


class Versioned(Protocol):
    """A record with an entity tag."""

    @property
    def id(self) -> str: ...
    @property
    def version(self) -> int: ...


def etag(record: Versioned) -> str:
    """Return the strong entity tag of a record.

    It contains the id because one URL may name several records: `/users/me` is a different user for each caller.
    """
    return f'"{record.version}{_suffix(record.id)}"'


async def if_match(
    request: Request,
    first: Annotated[
        str | None,
        Header(alias="If-Match", description="Change the record only if its `ETag` is one of these; `*` matches any."),
    ] = None,
) -> Collection[str] | None:
    """Return the strong tags of `If-Match`, unquoted; None if the header matches any record (section 13.1.1)."""
    if first is None or (given := _all_lines(request, "if-match")).strip() == _ANY:
        return None
    tags = [match for part in given.split(",") if (match := _ENTITY_TAG.fullmatch(part))]
    return {tag[2] for tag in tags if not tag[1]}


def expected_versions(record_id: str, tags: Collection[str] | None) -> Expected:
    """Return the versions that the tags of `If-Match` stand for. Tags of other records are ignored."""
    if tags is None:
        return None
    suffix = _suffix(record_id)
    versions = (tag.removesuffix(suffix) for tag in tags if tag.endswith(suffix))
    return {int(version) for version in versions if _VERSION.fullmatch(version)}


async def known_tags(
    request: Request,
    first: Annotated[
        str | None,
        Header(alias="If-None-Match", description="Return 304, without a body, if the `ETag` is one of these."),
    ] = None,
) -> Collection[str]:
    """Return the tags of `If-None-Match`, quoted, for the weak comparison (section 13.1.2). `*` is kept as it is."""
    if first is None:
        return ()
    given = _all_lines(request, "if-none-match")
    if given.strip() == _ANY:
        return {_ANY}
    tags = (_ENTITY_TAG.fullmatch(part) for part in given.split(","))
    return {f'"{tag[2]}"' for tag in tags if tag}


def is_known(record: Versioned, known: Collection[str]) -> bool:
    """Return whether the client already has this state of the record."""
    return bool(known) and (etag(record) in known or _ANY in known)


IfMatch = Annotated[Collection[str] | None, Depends(if_match)]
KnownTags = Annotated[Collection[str], Depends(known_tags)]


def user_response(user: User, *, token_mode: bool, created: bool = False) -> Response:
    return _record_response(_users([user], token_mode)[0], user, f"/users/{user.id}" if created else None)


def post_response(post: Post, *, created: bool = False) -> Response:
    return _record_response(_posts([post])[0], post, f"/posts/{post.id}" if created else None)


def users_response(users: Sequence[User], headers: Mapping[str, str], *, token_mode: bool) -> Response:
    return _JsonResponse(_users(users, token_mode), headers=headers)


def encode_users(users: Sequence[User], *, token_mode: bool) -> bytes:
    return orjson.dumps(_users(users, token_mode))


def encode_posts(posts: Sequence[Post]) -> bytes:
    return orjson.dumps(_posts(posts))


def page_response(page: Page[Any], headers: Mapping[str, str]) -> Response:
    return _PageResponse(page, headers=headers)


def sessions_response(sessions: Sequence[Session], current: SessionId | None) -> Response:
    return _JsonResponse([_session(session, session.id == current) for session in sessions])


def not_modified(record: Versioned) -> Response:
    """Return a 304: the client's copy is current (RFC 9110, section 15.4.5)."""
    headers = {"ETag": etag(record), "Cache-Control": CACHE_CONTROL}
    return Response(status_code=HTTPStatus.NOT_MODIFIED.value, headers=headers)


def time_texts(moments: Sequence[datetime]) -> Sequence[str]:
    """Format UTC times like `application.timestamps`, but faster: they would be half the cost of encoding a list."""
    texts = orjson.dumps(moments).decode()[2:-2].split('","') if moments else ()
    return [f"{text[:23]}Z" if len(text) == _WITH_MICROSECONDS else f"{text[:19]}.000Z" for text in texts]


def _suffix(record_id: str) -> str:
    return f"-{blake2b(record_id.encode(), digest_size=8).hexdigest()}"


def _all_lines(request: Request, name: str) -> str:
    """Return all values of a header that may be sent in several lines; FastAPI provides only the first."""
    return ", ".join(request.headers.getlist(name))


def _users(users: Sequence[User], token_mode: bool) -> Sequence[Mapping[str, Any]]:
    times = iter(time_texts([moment for user in users for moment in (user.created_at, user.updated_at)]))
    return [_user(user, next(times), next(times), token_mode) for user in users]


def _posts(posts: Sequence[Post]) -> Sequence[Mapping[str, Any]]:
    times = iter(time_texts([moment for post in posts for moment in (post.created_at, post.updated_at)]))
    return [_post(post, next(times), next(times)) for post in posts]


def _user(user: User, created_at: str, updated_at: str, token_mode: bool) -> Mapping[str, Any]:
    content = {
        "id": user.id,
        "email": user.email.address,
        "name": user.name,
        "username": user.username and user.username.text,
        "bio": user.bio,
        "role": user.role,
        "active": user.active,
        "created_at": created_at,
        "updated_at": updated_at,
    }
    if token_mode:
        content["email_verified"] = user.email_verified
    return content


def _post(post: Post, created_at: str, updated_at: str) -> Mapping[str, Any]:
    return {
        "id": post.id,
        "author_id": post.author_id,
        "title": post.title,
        "body": post.body,
        "created_at": created_at,
        "updated_at": updated_at,
    }


def _session(session: Session, current: bool) -> Mapping[str, Any]:
    created_at, last_used_at, expires_at = time_texts((session.created_at, session.last_used_at, session.expires_at))
    return {
        "id": session.id,
        "user_agent": session.user_agent,
        "current": current,
        "created_at": created_at,
        "last_used_at": last_used_at,
        "expires_at": expires_at,
    }


def _record_response(content: Mapping[str, Any], record: Versioned, location: str | None) -> Response:
    headers = {"ETag": etag(record)}
    if location is None:
        return _JsonResponse(content, headers=headers)
    return _JsonResponse(content, _CREATED, {**headers, "Location": location})


class _JsonResponse(Response):
    """A JSON response whose common headers are encoded once; Starlette encodes them for each response."""

    _HEADERS: Final = ((b"content-type", b"application/json"), (b"cache-control", CACHE_CONTROL.encode()))

    def render(self, content: Any) -> bytes:
        return orjson.dumps(content)

    def init_headers(self, headers: Mapping[str, str] | None = None) -> None:
        self.raw_headers = [(b"content-length", b"%d" % len(self.body)), *self._HEADERS]
        if headers:
            self.raw_headers += [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]


class _PageResponse(_JsonResponse):
    """Waits for a slow client between chunks, so the server's write buffer never holds a large page."""

    def __init__(self, page: Page[Any], *, headers: Mapping[str, str]) -> None:
        first, *self._others = page.take_chunks()
        self._permit = page.permit
        super().__init__(first, headers=headers)

    def render(self, content: bytes) -> bytes:
        return content

    def init_headers(self, headers: Mapping[str, str] | None = None) -> None:
        super().init_headers(headers)
        if self._others:
            self.raw_headers[0] = (b"content-length", b"%d" % (len(self.body) + sum(map(len, self._others))))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_in_chunks(message: Message) -> None:
            if message["type"] != "http.response.body":
                await send(message)
                return
            await send({**message, "more_body": True})
            while self._others:
                await asyncio.sleep(0)  # a fast reader must not block the event loop
                await send({**message, "body": self._others.pop(0), "more_body": bool(self._others)})

        try:
            await super().__call__(scope, receive, send_in_chunks if self._others else send)
        finally:
            if self._permit is not None:
                self._permit.release()
