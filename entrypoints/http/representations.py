"""The models of response bodies, and the responses.

The models only serve the OpenAPI document. Responses are encoded directly from entities, without a second validation.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Final

import orjson
from fastapi import Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.types import Message, Receive, Scope, Send

import domain.post
import domain.session
import domain.user
from domain.values import SessionId
from entrypoints.http.conditional import Versioned, etag
from entrypoints.http.pages import Page
from entrypoints.http.responses import MODE
from entrypoints.http.schemas import (
    Active,
    BioText,
    BodyText,
    EmailText,
    NameText,
    RoleText,
    TitleText,
    UsernameText,
)

CACHE_CONTROL: Final = "private, no-cache"
_CREATED: Final = HTTPStatus.CREATED.value

_WITH_MICROSECONDS: Final = len("2026-11-20T20:36:00.123000+00:00")
_TIME_PATTERN: Final = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$"

Id = Annotated[
    str,
    Field(
        description="A UUID (RFC 9562); ids sort by creation time.",
        json_schema_extra={
            "format": "uuid",
            "readOnly": True,
            "examples": ["01a1fc03-c17d-75ed-bf71-79e707db80f3"],
        },
    ),
]
Time = Annotated[
    str,
    Field(
        description="RFC 3339, in UTC, with milliseconds.",
        json_schema_extra={
            "format": "date-time",
            "pattern": _TIME_PATTERN,
            "readOnly": True,
            "examples": ["2026-11-20T20:36:00.123Z"],
        },
    ),
]


class User(BaseModel):
    """A user."""

    model_config = ConfigDict(extra="forbid")

    id: Id
    email: EmailText
    name: NameText
    username: UsernameText | None
    bio: BioText | None
    role: RoleText
    active: Active
    email_verified: bool = Field(
        description="Whether a link that was mailed to the address has been used.", json_schema_extra={MODE: "token"}
    )
    created_at: Time
    updated_at: Time


class Post(BaseModel):
    """A post."""

    model_config = ConfigDict(extra="forbid")

    id: Id
    author_id: Id
    title: TitleText
    body: BodyText
    created_at: Time
    updated_at: Time


class Session(BaseModel):
    """A signed-in client."""

    model_config = ConfigDict(extra="forbid")

    id: Id
    user_agent: str | None = Field(description="The `User-Agent` with which the client signed in.")
    current: bool = Field(description="Whether it is the session of this request.")
    created_at: Time
    last_used_at: Time
    expires_at: Time


def user_response(user: domain.user.User, *, token_mode: bool, created: bool = False) -> Response:
    return _record_response(_users([user], token_mode)[0], user, f"/users/{user.id}" if created else None)


def post_response(post: domain.post.Post, *, created: bool = False) -> Response:
    return _record_response(_posts([post])[0], post, f"/posts/{post.id}" if created else None)


def users_response(users: Sequence[domain.user.User], headers: Mapping[str, str], *, token_mode: bool) -> Response:
    return _JsonResponse(_users(users, token_mode), headers=headers)


def encode_users(users: Sequence[domain.user.User], *, token_mode: bool) -> bytes:
    return orjson.dumps(_users(users, token_mode))


def encode_posts(posts: Sequence[domain.post.Post]) -> bytes:
    return orjson.dumps(_posts(posts))


def page_response(page: Page[Any], headers: Mapping[str, str]) -> Response:
    return _PageResponse(page, headers=headers)


def sessions_response(sessions: Sequence[domain.session.Session], current: SessionId | None) -> Response:
    return _JsonResponse([_session(session, session.id == current) for session in sessions])


def not_modified(record: Versioned) -> Response:
    """Return a 304: the client's copy is current (RFC 9110, section 15.4.5)."""
    headers = {"ETag": etag(record), "Cache-Control": CACHE_CONTROL}
    return Response(status_code=HTTPStatus.NOT_MODIFIED.value, headers=headers)


def time_texts(moments: Sequence[datetime]) -> Sequence[str]:
    """Format UTC times like `application.timestamps`, but faster: they would be half the cost of encoding a list."""
    texts = orjson.dumps(moments).decode()[2:-2].split('","') if moments else ()
    return [f"{text[:23]}Z" if len(text) == _WITH_MICROSECONDS else f"{text[:19]}.000Z" for text in texts]


def _users(users: Sequence[domain.user.User], token_mode: bool) -> Sequence[Mapping[str, Any]]:
    times = iter(time_texts([moment for user in users for moment in (user.created_at, user.updated_at)]))
    return [_user(user, next(times), next(times), token_mode) for user in users]


def _posts(posts: Sequence[domain.post.Post]) -> Sequence[Mapping[str, Any]]:
    times = iter(time_texts([moment for post in posts for moment in (post.created_at, post.updated_at)]))
    return [_post(post, next(times), next(times)) for post in posts]


def _user(user: domain.user.User, created_at: str, updated_at: str, token_mode: bool) -> Mapping[str, Any]:
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


def _post(post: domain.post.Post, created_at: str, updated_at: str) -> Mapping[str, Any]:
    return {
        "id": post.id,
        "author_id": post.author_id,
        "title": post.title,
        "body": post.body,
        "created_at": created_at,
        "updated_at": updated_at,
    }


def _session(session: domain.session.Session, current: bool) -> Mapping[str, Any]:
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
